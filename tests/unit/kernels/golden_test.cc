// The kernels against the Python reference: tests/vectors/golden.
#include "tests/support/golden.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"
#include "tests/support/golden_gpt.h"
#include "tests/support/toy.h"

namespace gemmine::kernels {
namespace {

using test::Golden;

std::vector<uint32_t> spread(uint32_t count, uint64_t seed) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < count; ++i)
    out.push_back(philox(seed, i, 0, 0, 0).w[0]);
  return out;
}

std::vector<float> unit_floats(uint32_t count, uint64_t seed) {
  std::vector<float> out;
  for (const uint32_t word : spread(count, seed))
    out.push_back(static_cast<float>(word) * 0x1p-31F - 1.0F);
  return out;
}

TEST(GoldenNumerics, PhiloxGivesTheSameWords) {
  const Golden golden("numerics");
  int seen = 0;
  for (const auto& [key, tokens] : golden.lines()) {
    if (!key.starts_with("philox ")) continue;
    std::istringstream in(key.substr(7));
    uint64_t seed = 0;
    uint32_t c[4] = {};
    in >> seed >> c[0] >> c[1] >> c[2] >> c[3];
    const PhiloxWords words = philox(seed, c[0], c[1], c[2], c[3]);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_EQ(words.w[i], golden.bits(key, i)) << key;
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

TEST(GoldenNumerics, ExpLogAndRniGiveTheSameBits) {
  const Golden golden("numerics");
  for (size_t i = 0; i < golden.count("exp in"); ++i)
    EXPECT_EQ(bits_of(gn_exp(golden.f32("exp in", i))), golden.bits("exp out", i)) << i;
  for (size_t i = 0; i < golden.count("log in"); ++i)
    EXPECT_EQ(bits_of(gn_log(golden.f32("log in", i))), golden.bits("log out", i)) << i;
  for (size_t i = 0; i < golden.count("rni in"); ++i)
    EXPECT_EQ(rni(golden.f32("rni in", i)), golden.integer("rni out", i)) << i;
}

TEST(GoldenNumerics, QuantisingGivesTheSameBytes) {
  const Golden golden("numerics");
  for (const std::string name : {"plain", "zero", "tiny", "edge", "above", "huge", "outlier"}) {
    const std::string key = "quantise " + name;
    const std::vector<float> v = golden.floats(key + " in");
    uint32_t absmax = 0;
    for (const float x : v)
      absmax = std::max(absmax, magnitude(x));
    const Scale scale = scale_of(absmax);
    EXPECT_EQ(bits_of(scale.s), golden.bits(key + " scale inv", 0)) << name;
    EXPECT_EQ(bits_of(scale.inv), golden.bits(key + " scale inv", 1)) << name;
    Bytes rn;
    Bytes sr;
    for (size_t i = 0; i < v.size(); ++i) {
      const auto u = static_cast<uint32_t>(golden.natural("quantise u", i));
      rn.push_back(static_cast<uint8_t>(round_nearest(v[i], scale.inv)));
      sr.push_back(static_cast<uint8_t>(round_stochastic(v[i], scale.inv, u)));
    }
    EXPECT_EQ(rn, golden.bytes(key + " rn")) << name;
    EXPECT_EQ(sr, golden.bytes(key + " sr")) << name;
  }
}

TEST(GoldenNumerics, StochasticBitsAreTheSame) {
  const Golden golden("numerics");
  const Bytes expected = golden.bytes("sr_bits 3x300 seed=11936128518282651050 tensor=39 step=41");
  const StochasticKey key{.seed = 0xA5A5A5A55A5A5A5A, .tensor_id = 39, .step_id = 41};
  Writer own;
  for (uint32_t r = 0; r < 3; ++r) {
    for (uint32_t c = 0; c < 300; ++c)
      own.put(static_cast<uint16_t>(stochastic_u16(key, r, c, 300)));
  }
  EXPECT_EQ(own.bytes(), expected);
}

TEST(GoldenNumerics, SumsKeepTheirOrder) {
  const Golden golden("numerics");
  for (const uint32_t n : {1U, 31U, 33U, 100U, 4096U, 4097U, 9000U}) {
    const std::vector<float> v = unit_floats(n, n);
    const std::string name = std::to_string(n);
    EXPECT_EQ(bits_of(rowsum(v.data(), n)), golden.bits("rowsum " + name));
    EXPECT_EQ(bits_of(longsum(v.data(), n)), golden.bits("longsum " + name));
    EXPECT_EQ(bits_of(colsum(v.data(), n, 1)), golden.bits("colsum " + name));
  }
}

TEST(GoldenHashes, TileOrderHasTheSameRoots) {
  const Golden golden("hashes");
  Digest key;
  key.bytes.fill(5);
  const std::pair<uint32_t, uint32_t> shapes[] = {
      {1, 1}, {16, 64}, {17, 65}, {100, 150}, {33, 200}};
  for (const auto& [rows, cols] : shapes) {
    std::vector<int8_t> q;
    for (const uint32_t word : spread(rows * cols, 5))
      q.push_back(static_cast<int8_t>(static_cast<int>(word % 127) - 63));
    const std::string name = "tile_root " + std::to_string(rows) + " " + std::to_string(cols);
    EXPECT_EQ(tile_order_bytes(rows, cols), golden.natural(name, 0));
    EXPECT_EQ(
        blake3_source(Blake3Mode::keyed(key), ChunkSource::of_tiles(q.data(), rows, cols, cols)),
        golden.digest(name, 1))
        << name;
  }
}

TEST(GoldenHashes, MultiproofsNameTheSameSiblings) {
  const Golden golden("hashes");
  std::vector<uint32_t> words = spread(5000, 6);
  const ByteView data = as_bytes(std::span(words)).first(19999);
  EXPECT_EQ(blake3(data), golden.digest("proof root"));
  int seen = 0;
  for (const auto& [key, tokens] : golden.lines()) {
    if (!key.starts_with("proof ") || key == "proof root") continue;
    std::vector<ChunkRange> ranges;
    std::istringstream in(key.substr(6));
    for (std::string part; std::getline(in, part, ',');) {
      const size_t dash = part.find('-');
      ranges.push_back({std::stoull(part.substr(0, dash)), std::stoull(part.substr(dash + 1))});
    }
    const auto siblings = open_chunks(Blake3Mode::plain(), ChunkSource::of_bytes(data), ranges);
    ASSERT_TRUE(siblings.ok()) << key;
    ASSERT_EQ(siblings.value().size(), tokens[0] == "-" ? 0 : tokens.size()) << key;
    for (size_t i = 0; i < siblings.value().size(); ++i)
      EXPECT_EQ(siblings.value()[i], golden.digest(key, i)) << key;
    ++seen;
  }
  EXPECT_EQ(seen, 5);
}

constexpr uint64_t kStepsPerShare = 2;

struct ToyCase {
  const char* file;
  const char* engine;

  bool is_gpt() const { return std::string_view(file).starts_with("job_gpt"); }
  Spec spec() const {
    if (is_gpt()) return test::golden_gpt(std::string_view(file) == "job_gpt_tied");
    if (classes() != 10) return test::toy_spec_of_300_classes();
    const bool sgd = std::string_view(file) == "job_sgd";
    return test::toy_spec(sgd ? Optimiser::sgd : Optimiser::adamw);
  }
  uint64_t classes() const { return std::string_view(file) == "job_classes" ? 300 : 10; }
  Bytes train() const {
    return is_gpt() ? test::golden_train(spec()) : test::toy_records(0, 200, classes());
  }
  Bytes held_out() const {
    return is_gpt() ? test::golden_test(spec()) : test::toy_records(200, 50, classes());
  }
};

class GoldenJob : public testing::TestWithParam<ToyCase> {
 protected:
  // The step's loss, roots and digest.
  void expect_step(const std::string& lease, uint32_t h, const Digest& key,
                   const StepResult& step) const {
    const std::string name = lease + " " + std::to_string(h);
    EXPECT_EQ(bits_of(step.loss), golden.bits("step " + name, 0)) << name;
    Writer digest;
    ASSERT_EQ(step.roots.size(), program.tensors().size());
    for (size_t i = 0; i < step.roots.size(); ++i) {
      digest.put_digest(step.roots[i]);
      if (!golden.has("roots " + name)) continue;
      const TensorInfo& tensor = program.tensors()[i];
      EXPECT_EQ(step.roots[i], golden.digest("roots " + name, i))
          << name << " " << tensor_name(tensor.kind) << " " << tensor.layer;
    }
    digest.put_f32(step.loss);
    EXPECT_EQ(blake3_keyed(key, digest.bytes()), golden.digest("step " + name, 1)) << name;
  }

  void expect_state(Engine& engine, const std::string& name, size_t token) const {
    std::vector<float> state(program.state_floats());
    ASSERT_TRUE(engine.read_state(state).ok());
    const Digest key = blake3_derive_key("gemmine 2026-11-22 state", {});
    EXPECT_EQ(blake3_keyed(key, as_bytes(std::span(state))), golden.digest(name, token)) << name;
  }

  const Golden golden{GetParam().file};
  const Program program = Program::make(GetParam().spec()).value();
};

// Round 0 alone: later rounds start from a merge and an outer step, which are the verifier's (its
// golden_test runs them). Their place in the schedule is the next test's.
TEST_P(GoldenJob, RunsToTheSameRootsLossesAndStates) {
  const Bytes train = GetParam().train();
  std::vector<float> theta = program.initial_theta();
  EXPECT_EQ(program.macs_per_step(), golden.natural("macs_per_step"));
  auto engine = make_engine(GetParam().engine, program, train, 1);
  ASSERT_TRUE(engine.ok()) << engine.error().detail;
  const uint32_t steps = program.spec().steps_per_lease;
  for (uint32_t slot = 0; slot < 2; ++slot) {
    std::vector<float> state = theta;
    state.resize(program.state_floats());
    ASSERT_TRUE(engine.value()->load_state(state, 0).ok());
    const std::string lease = "0 " + std::to_string(slot);
    for (uint32_t h = 0; h < steps; ++h) {
      Writer material;
      material.put_digest(golden.digest("lease_id " + lease)).put(h);
      const Digest key = blake3_derive_key("gemmine 2026-11-22 trace step", material.bytes());
      const auto step = engine.value()->run_step({.round = 0, .slot = slot, .step = h}, &key);
      ASSERT_TRUE(step.ok()) << lease << step.error().detail;
      expect_step(lease, h, key, step.value());
      if ((h + 1) % kStepsPerShare == 0 || h + 1 == steps)
        expect_state(*engine.value(), "trace " + lease + " " + std::to_string(h / kStepsPerShare),
                     1);
    }
  }
  const auto before = evaluate(program, theta, GetParam().held_out(), 1);
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before.value().correct, golden.natural("correct", 0));
  EXPECT_EQ(before.value().records, golden.natural("correct", 2));
  theta.resize(program.published_floats(), 0.0F);
  EXPECT_EQ(blake3(as_bytes(std::span(theta))), golden.digest("theta_root 0"));
}

// The last lease of the job, but from the first θ: schedule, data and stochastic bits are its own.
TEST_P(GoldenJob, ALaterRoundHasItsOwnScheduleDataAndBits) {
  const Bytes train = GetParam().train();
  auto engine = make_engine(GetParam().engine, program, train, 1);
  ASSERT_TRUE(engine.ok()) << engine.error().detail;
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats());
  ASSERT_TRUE(engine.value()->load_state(state, 0).ok());
  for (uint32_t h = 0; h < program.spec().steps_per_lease; ++h) {
    Writer material;
    material.put_digest(golden.digest("lease_id 1 1")).put(h);
    const Digest key = blake3_derive_key("gemmine 2026-11-22 trace step", material.bytes());
    const auto step = engine.value()->run_step({.round = 1, .slot = 1, .step = h}, &key);
    ASSERT_TRUE(step.ok()) << step.error().detail;
    const std::string name = "late 1 1 " + std::to_string(h);
    EXPECT_EQ(bits_of(step.value().loss), golden.bits(name, 0)) << name;
    Writer digest;
    for (const Digest& root : step.value().roots)
      digest.put_digest(root);
    digest.put_f32(step.value().loss);
    EXPECT_EQ(blake3_keyed(key, digest.bytes()), golden.digest(name, 1)) << name;
    expect_state(*engine.value(), name, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Engines, GoldenJob,
    testing::Values(ToyCase{"job_sgd", "cpu"}, ToyCase{"job_classes", "cpu"},
                    ToyCase{"job_classes", "reference"}, ToyCase{"job_adamw", "cpu"},
                    ToyCase{"job_sgd", "reference"}, ToyCase{"job_adamw", "reference"},
                    ToyCase{"job_gpt", "reference"}, ToyCase{"job_gpt", "cpu"},
                    ToyCase{"job_gpt_tied", "cpu"}, ToyCase{"job_gpt_tied", "reference"}),
    [](const auto& test) { return std::string(test.param.engine) + "_" + test.param.file; });

}  // namespace
}  // namespace gemmine::kernels
