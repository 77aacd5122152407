// Job bytes of a language model (PROTOCOL 10.12) and every bound of 10.14.
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/every_bit.h"
#include "tests/support/toy_gpt_job.h"
#include "verifier/records/job.h"

namespace gemmine::verifier {
namespace {

using kernels::Spec;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void refuses(std::string_view field, auto change) {
  Job job = test::toy_gpt_job(testing::toy_gpt());
  change(job);
  const auto decoded = Work::decode(encode_job(job));
  ASSERT_FALSE(decoded.ok()) << field;
  EXPECT_EQ(decoded.error().code, Errc::invalid) << field;
  EXPECT_NE(decoded.error().detail.find("job: " + std::string(field)), std::string::npos)
      << field << ": " << decoded.error().detail;
}

TEST(GptJobCodec, RoundTripsBothToys) {
  for (const Spec& spec : {testing::toy_gpt(), testing::toy_gpt_tied()}) {
    const Job job = test::toy_gpt_job(spec);
    const Bytes bytes = encode_job(job);
    const auto decoded = Work::decode(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().detail;
    EXPECT_EQ(decoded.value().job(), job);
    EXPECT_LT(bytes.size() + 64, kJobBytesMax);
  }
}

TEST(GptJobCodec, LaysTheFieldsOutAsTheProtocolSays) {
  Job job = test::toy_gpt_job(testing::toy_gpt_tied());
  job.spec.clip = 1;
  job.spec.outer_lr = 0.5F;
  job.spec.outer_momentum = 0.25F;
  Writer shape;
  shape.put_text(job.name).put(uint16_t{1}).put(uint16_t{2});
  shape.put(uint32_t{300}).put(uint32_t{80}).put(uint32_t{5}).put(uint32_t{100}).put(uint8_t{1});
  shape.put(uint32_t{32}).put(uint8_t{2}).put(uint8_t{2}).put(uint8_t{1}).put(uint8_t{2});
  shape.put_f32(1).put_f32(0.5F).put_f32(0.25F);
  shape.put_digest(job.train_address).put(job.spec.records);
  shape.put_digest(job.test_address).put(job.test_records);
  shape.put(uint8_t{1}).put_f32(job.spec.lr);
  const Bytes bytes = encode_job(job);
  ASSERT_GT(bytes.size(), shape.bytes().size());
  EXPECT_TRUE(std::equal(shape.bytes().begin(), shape.bytes().end(), bytes.begin()));
}

TEST(GptJobCodec, RefusesEveryTruncationAndGivesEveryBitFlipAnotherName) {
  test::expect_every_bit_counts(test::toy_gpt_job(testing::toy_gpt()));
}

TEST(GptJobCodec, NamesTheShapeThatIsOutOfBounds) {
  refuses("vocabulary", [](Job& j) { j.spec.gpt.vocabulary = 1; });
  refuses("vocabulary", [](Job& j) { j.spec.gpt.vocabulary = 16385; });
  refuses("width", [](Job& j) { j.spec.gpt.width = 32; });
  refuses("width", [](Job& j) { j.spec.gpt.width = 8192; });
  refuses("heads", [](Job& j) { j.spec.gpt.heads = 0; });
  refuses("heads", [](Job& j) { j.spec.gpt.heads = 65; });
  refuses("heads", [](Job& j) { j.spec.gpt.heads = 3; });
  refuses("heads", [](Job& j) { j.spec.gpt.heads = 8; });
  refuses("hidden", [](Job& j) { j.spec.gpt.hidden = 15; });
  refuses("hidden", [](Job& j) { j.spec.gpt.hidden = 16385; });
  refuses("blocks", [](Job& j) { j.spec.gpt.blocks = 0; });
  refuses("blocks", [](Job& j) { j.spec.gpt.blocks = 65; });
  refuses("context", [](Job& j) { j.spec.gpt.context = 40; });
  refuses("context", [](Job& j) { j.spec.gpt.context = 8208; });
  refuses("norm", [](Job& j) { j.spec.gpt.norm = static_cast<kernels::Norm>(3); });
  refuses("activation",
          [](Job& j) { j.spec.gpt.activation = static_cast<kernels::Activation>(0); });
  refuses("token_bytes", [](Job& j) { j.spec.gpt.token_bytes = 3; });
  refuses("token_bytes", [](Job& j) { j.spec.gpt.vocabulary = 257; });
  refuses("blocks", [](Job& j) {  // 2^30 parameters
    j.spec.gpt.width = 4096;
    j.spec.gpt.heads = 64;
    j.spec.gpt.hidden = 16384;
    j.spec.gpt.blocks = 64;
  });
}

TEST(GptJobCodec, NamesTheAmountThatIsOutOfBounds) {
  refuses("records", [](Job& j) { j.spec.records = j.spec.gpt.context; });
  refuses("records", [](Job& j) { j.spec.records = 0x80000000; });
  refuses("n_test", [](Job& j) { j.test_records = j.spec.gpt.context; });
  refuses("n_test", [](Job& j) { j.test_records = 0x80000000; });
  refuses("batch", [](Job& j) { j.spec.batch = 0; });
  refuses("batch", [](Job& j) { j.spec.batch = 65536 / j.spec.gpt.context + 1; });
  refuses("clip", [](Job& j) { j.spec.clip = -1; });
  refuses("clip", [](Job& j) { j.spec.clip = kNan; });
  refuses("outer_lr", [](Job& j) { j.spec.outer_lr = 0; });
  refuses("outer_lr", [](Job& j) { j.spec.outer_lr = 16.5F; });
  refuses("outer_lr", [](Job& j) { j.spec.outer_lr = kNan; });
  refuses("outer_momentum", [](Job& j) { j.spec.outer_momentum = 1; });
  refuses("outer_momentum", [](Job& j) { j.spec.outer_momentum = -0.5F; });
  refuses("optimiser", [](Job& j) { j.spec.optimiser = static_cast<kernels::Optimiser>(0); });
  refuses("beta2", [](Job& j) { j.spec.beta2 = kNan; });
  refuses("steps_per_share", [](Job& j) { j.steps_per_share = 0; });
}

TEST(GptJobCodec, RefusesAFlagThatIsNeitherNorAnotherArchitecture) {
  const Job job = test::toy_gpt_job(testing::toy_gpt());
  const size_t architecture = 2 + job.name.size() + 2;
  const size_t tied = architecture + 2 + 16 + 1 + 4 + 2;
  Bytes bytes = encode_job(job);
  bytes[tied] = 2;
  EXPECT_NE(Work::decode(bytes).error().detail.find("tied"), std::string::npos);
  bytes[architecture] = 3;
  EXPECT_NE(Work::decode(bytes).error().detail.find("architecture"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::verifier
