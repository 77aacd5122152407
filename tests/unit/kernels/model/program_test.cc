#include "kernels/model/program.h"

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels {
namespace {

Spec good_spec() {
  return {
      .widths = {12, 20, 5},
      .records = 100,
      .feature_scale = 1,
      .feature_shift = 0,
      .optimiser = Optimiser::adamw,
      .lr = 0.5F,
      .beta1 = 0.9F,
      .beta2 = 0.99F,
      .eps = 1e-8F,
      .wd = 0,
      .warmup = 4,
      .batch = 8,
      .steps_per_lease = 6,
      .slots = 3,
      .rounds = 2,
      .init_seed = 1,
      .data_seed = 2,
      .sr_seed = 3,
  };
}

Program program_of(const Spec& spec) {
  const Result<Program> program = Program::make(spec);
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().detail);
  return program.value();
}

struct Wrong {
  const char* field;
  std::function<void(Spec&)> change;
};

TEST(Program, NamesEveryFieldThatIsOutOfBounds) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Wrong wrongs[] = {
      {"widths", [](Spec& s) { s.widths = {}; }},
      {"widths", [](Spec& s) { s.widths = {4}; }},
      {"widths", [](Spec& s) { s.widths.assign(18, 4); }},
      {"widths[1]", [](Spec& s) { s.widths[1] = 0; }},
      {"widths[1]", [](Spec& s) { s.widths[1] = 16385; }},
      {"widths[2]", [](Spec& s) { s.widths.back() = 16385; }},
      {"widths", [](Spec& s) { s.widths = {16384, 16384, 16384, 16384, 16384, 16384, 2}; }},
      {"records", [](Spec& s) { s.records = 0; }},
      {"records", [](Spec& s) { s.records = 0x80000000; }},
      {"feature_scale", [=](Spec& s) { s.feature_scale = nan; }},
      {"feature_shift", [=](Spec& s) { s.feature_shift = inf; }},
      {"optimiser", [](Spec& s) { s.optimiser = static_cast<Optimiser>(0); }},
      {"optimiser", [](Spec& s) { s.optimiser = static_cast<Optimiser>(3); }},
      {"lr", [=](Spec& s) { s.lr = nan; }},
      {"lr", [](Spec& s) { s.lr = -1; }},
      {"beta1", [](Spec& s) { s.beta1 = 1; }},
      {"beta1", [=](Spec& s) { s.beta1 = nan; }},
      {"beta2", [](Spec& s) { s.beta2 = -0.5F; }},
      {"eps", [=](Spec& s) { s.eps = inf; }},
      {"wd", [](Spec& s) { s.wd = -1; }},
      {"warmup", [](Spec& s) { s.warmup = 13; }},
      {"batch", [](Spec& s) { s.batch = 0; }},
      {"batch", [](Spec& s) { s.batch = 65537; }},
      {"steps_per_lease", [](Spec& s) { s.steps_per_lease = 0; }},
      {"steps_per_lease", [](Spec& s) { s.steps_per_lease = 65537; }},
      {"slots", [](Spec& s) { s.slots = 0; }},
      {"slots", [](Spec& s) { s.slots = 4097; }},
      {"rounds", [](Spec& s) { s.rounds = 0; }},
      {"rounds", [](Spec& s) { s.rounds = 3000000; }},
      {"rounds", [](Spec& s) { s.rounds = 2000000, s.slots = 4096; }},
      {"rounds", [](Spec& s) { s.rounds = 0xffffffff, s.slots = 4096; }},
  };
  for (const Wrong& wrong : wrongs) {
    Spec spec = good_spec();
    wrong.change(spec);
    const Result<Program> program = Program::make(spec);
    ASSERT_FALSE(program.ok()) << wrong.field;
    EXPECT_EQ(program.error().code, Errc::invalid_argument);
    EXPECT_TRUE(program.error().detail.starts_with(std::string(wrong.field) + " "))
        << wrong.field << ": " << program.error().detail;
  }
}

TEST(Program, AcceptsEveryBoundItself) {
  const std::function<void(Spec&)> changes[] = {
      [](Spec& s) { s.widths.assign(17, 4); },
      [](Spec& s) {
        s.widths = {16384, 256};
      },
      [](Spec& s) { s.records = 0x7fffffff; },
      [](Spec& s) { s.batch = 65536; },
      [](Spec& s) { s.steps_per_lease = 65536, s.rounds = 255; },
      [](Spec& s) { s.slots = 4096; },
      [](Spec& s) { s.warmup = 12; },
      [](Spec& s) { s.lr = s.beta1 = s.beta2 = s.eps = 0; },
  };
  for (const auto& change : changes) {
    Spec spec = good_spec();
    change(spec);
    program_of(spec);
  }
}

TEST(Program, ListsTensorsInTraceOrder) {
  const Program program = program_of(good_spec());
  using enum TensorKind;
  const std::pair<TensorKind, uint32_t> expected[] = {
      {x, 0},  {sx, 0}, {w, 0},  {sw, 0}, {b, 0},  {x, 1},  {sx, 1}, {w, 1},
      {sw, 1}, {b, 1},  {g1, 1}, {s1, 1}, {g2, 1}, {s2, 1}, {g2, 0}, {s2, 0}};
  ASSERT_EQ(program.tensors().size(), std::size(expected));
  for (uint32_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(program.tensors()[i].kind, expected[i].first) << i;
    EXPECT_EQ(program.tensors()[i].layer, expected[i].second) << i;
    EXPECT_EQ(program.position(expected[i].first, expected[i].second), i);
  }
  const TensorInfo& g2_1 = program.tensors()[12];
  EXPECT_EQ(g2_1.rows, 8U);
  EXPECT_EQ(g2_1.cols, 5U);
  EXPECT_EQ(g2_1.tensor_id(), 23U);
  EXPECT_EQ(program.tensors()[13].rows, 5U);
}

TEST(Program, CountsWorkAndParameters) {
  const Program program = program_of(good_spec());
  EXPECT_EQ(program.parameters(), 12U * 20 + 20 + 20 * 5 + 5);
  EXPECT_EQ(program.state_floats(), 3 * program.parameters());
  EXPECT_EQ(program.weight_offset(1), 260U);
  EXPECT_EQ(program.bias_offset(1), 360U);
  EXPECT_EQ(program.macs_per_step(), 8U * (12 * 20 * 2 + 20 * 5 * 3));
  Spec sgd = good_spec();
  sgd.optimiser = Optimiser::sgd;
  EXPECT_EQ(program_of(sgd).state_floats(), 2 * program.parameters());
}

TEST(Program, WarmsUpThenFallsLinearly) {
  const Program program = program_of(good_spec());
  EXPECT_EQ(program.learning_rate({0, 0, 0}), 0.5F * 0.25F);
  EXPECT_EQ(program.learning_rate({0, 2, 3}), 0.5F);
  EXPECT_EQ(program.learning_rate({0, 0, 4}), 0.5F);
  EXPECT_EQ(program.learning_rate({1, 1, 5}), 0.5F * (1.0F / 8.0F));
  Spec all_warm = good_spec();
  all_warm.warmup = 12;
  EXPECT_EQ(program_of(all_warm).learning_rate({1, 0, 5}), 0.5F);
}

TEST(Program, DrawsRecordsWithinTheDataAndDifferentlyByStepAndSlot) {
  const Program program = program_of(good_spec());
  std::set<uint32_t> seen;
  std::vector<uint32_t> first;
  for (uint32_t round = 0; round < 2; ++round) {
    for (uint32_t slot = 0; slot < 3; ++slot) {
      std::vector<uint32_t> batch;
      for (uint32_t i = 0; i < 8; ++i)
        batch.push_back(program.record_index({round, slot, 1}, i));
      for (const uint32_t index : batch)
        ASSERT_LT(index, 100U);
      seen.insert(batch.begin(), batch.end());
      if (first.empty()) first = batch;
      EXPECT_EQ(batch == first, round == 0 && slot == 0);
    }
  }
  EXPECT_GT(seen.size(), 30U);
  EXPECT_EQ(program.step_id({1, 2, 5}), (1U * 3 + 2) * 6 + 5);
}

TEST(Program, StartsFromUniformWeightsAndZeroBiases) {
  const Program program = program_of(good_spec());
  const std::vector<float> theta = program.initial_theta();
  const float range = std::sqrt(6.0F / 12.0F);
  double sum = 0;
  for (size_t i = 0; i < 240; ++i) {
    EXPECT_LE(std::fabs(theta[i]), range);
    sum += theta[i];
  }
  EXPECT_LT(std::fabs(sum / 240), 0.1);
  for (size_t i = 240; i < 260; ++i)
    EXPECT_EQ(bits_of(theta[i]), 0U);
  const uint32_t u = philox(1, 1, 0, 0, kPurposeInit).w[2];
  EXPECT_EQ(theta[6], (static_cast<float>(u >> 8) * 0x1p-23F - 1.0F) * range);
}

// Random123's known answers are for other round counts; these are of a plain reading of 1.5.
TEST(Philox, IsTheTextOfTheProtocol) {
  const auto literal = [](uint64_t seed, std::array<uint32_t, 4> c) {
    auto k0 = static_cast<uint32_t>(seed & 0xffffffff);
    auto k1 = static_cast<uint32_t>(seed >> 32);
    for (int i = 0; i < 7; ++i) {
      if (i > 0) k0 += 0x9E3779B9, k1 += 0xBB67AE85;
      const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
      const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
           static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    }
    return c;
  };
  for (uint32_t i = 0; i < 1000; ++i) {
    const uint64_t seed = i * 0x9e3779b97f4a7c15;
    const auto expected = literal(seed, {i, i * 7, i * 77777, ~i});
    const PhiloxWords got = philox(seed, i, i * 7, i * 77777, ~i);
    for (size_t w = 0; w < 4; ++w)
      ASSERT_EQ(got.w[w], expected[w]);
  }
}

TEST(Philox, GivesEveryElementOfATensorItsOwnBits) {
  const StochasticKey key{5, 23, 9};
  for (const uint32_t cols : {1U, 64U, 128U, 130U, 300U}) {
    std::set<std::pair<uint32_t, uint32_t>> places;  // (counter · 4 + word, half)
    for (uint32_t r = 0; r < 3; ++r) {
      for (uint32_t c = 0; c < cols; ++c) {
        const uint32_t g = c / 128;
        const uint32_t h = c % 128 / 64;
        const uint32_t counter = (r * ((cols + 127) / 128) + g) * 16 + c % 16;
        const uint32_t word = philox(5, counter, 23, 9, 0x5352).w[c % 64 / 16];
        ASSERT_EQ(stochastic_u16(key, r, c, cols), h == 0 ? word & 0xffff : word >> 16);
        ASSERT_TRUE(places.insert({counter * 4 + c % 64 / 16, h}).second);
      }
    }
  }
}

}  // namespace
}  // namespace gemmine::kernels
