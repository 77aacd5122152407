// Parts of objects out of their chunks, and what is remembered when one is not there.
#include "verifier/audit/block_reader.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "tests/support/toy_job.h"

namespace gemmine::verifier {
namespace {

// Every object is one string of bytes; chunks can be taken away.
class Strings : public BlockSource {
 public:
  ByteView chunk(ObjectId object, uint64_t index) override {
    const Bytes& all = strings[object];
    if (gone.contains(index) || index * kChunk >= all.size()) return {};
    return ByteView(all).subspan(index * kChunk, std::min(kChunk, all.size() - index * kChunk));
  }
  std::map<ObjectId, Bytes> strings;
  std::map<uint64_t, bool> gone;
};

class Reads : public ::testing::Test {
 protected:
  Reads() : program_(kernels::Program::make(test::toy_job().spec).value()) {
    const ObjectId state{Origin::state_before, 0};
    std::vector<float> floats(program_.state_floats());
    for (size_t i = 0; i < floats.size(); ++i)
      floats[i] = static_cast<float>(i);
    const ByteView bytes = as_bytes(std::span<const float>(floats));
    source_.strings[state].assign(bytes.begin(), bytes.end());
  }
  kernels::Program program_;
  Strings source_;
  BlockReader reader_{program_, source_};
};

TEST_F(Reads, RunsAcrossTheEdgeOfAChunk) {
  ASSERT_GT(program_.state_floats(), 260U);
  const Floats run = reader_.state_before(250, 10);  // a chunk holds 256
  for (uint32_t i = 0; i < run.size(); ++i)
    EXPECT_EQ(run[i], static_cast<float>(250 + i));
  EXPECT_FALSE(reader_.missing());
  EXPECT_TRUE(reader_.objection().empty());
}

TEST_F(Reads, AMissingChunkIsRememberedUntilItIsForgotten) {
  source_.gone[1] = true;
  (void)reader_.state_before(250, 10);
  EXPECT_TRUE(reader_.missing());
  reader_.forget();
  EXPECT_FALSE(reader_.missing());
  EXPECT_EQ(reader_.state_before(0, 2), (Floats{0, 1}));
  EXPECT_FALSE(reader_.missing());
}

TEST_F(Reads, WhatIsNotFiniteIsObjectedToOnce) {
  const float bad = std::nanf("");
  std::memcpy(source_.strings[{Origin::state_before, 0}].data() + 4, &bad, sizeof bad);
  (void)reader_.state_before(0, 2);
  EXPECT_NE(reader_.objection().find("not finite"), std::string::npos);
  const std::string first = reader_.objection();
  reader_.object_to("something else");
  EXPECT_EQ(reader_.objection(), first);
}

TEST(ObjectBytes, AreThoseOfTheProtocol) {
  const auto program = kernels::Program::make(test::toy_job().spec).value();
  EXPECT_EQ(object_bytes(program, {Origin::state_before, 0}), 4 * program.state_floats());
  EXPECT_EQ(object_bytes(program, {Origin::train, 0}), program.data_bytes(program.spec().records));
  EXPECT_EQ(object_bytes(program, {Origin::tensor, 0}), program.tensors()[0].bytes());
  EXPECT_EQ(object_bytes(program, {Origin::tensor, 60'000}), 0U) << "there is no such tensor";
}

}  // namespace
}  // namespace gemmine::verifier
