#include "kernels/model/program.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"
#include "tests/support/good_spec.h"

namespace gemmine::kernels {
namespace {

using test::good_spec;

Program program_of(const Spec& spec) {
  const Result<Program> program = Program::make(spec);
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().detail);
  return program.value();
}

TEST(Program, ListsTensorsInTraceOrder) {
  const Program program = program_of(good_spec());
  using enum TensorKind;
  const std::pair<TensorKind, uint32_t> expected[] = {
      {x, 0},  {sx, 0}, {w, 0},  {sw, 0}, {b, 0},          {x, 1},
      {sx, 1}, {w, 1},  {sw, 1}, {b, 1},  {g1, 1},         {s1, 1},
      {g2, 1}, {s2, 1}, {g2, 0}, {s2, 0}, {bias_parts, 0}, {bias_parts, 1}};
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

TEST(Program, CommitsToSumsOfRunsInPanels) {
  Spec spec = good_spec();
  spec.batch = 65;
  spec.widths[1] = 70;
  const Program program = program_of(spec);
  const TensorInfo& parts = program.tensors()[program.position(TensorKind::bias_parts, 0)];
  EXPECT_EQ(parts.rows, 3U);
  EXPECT_EQ(parts.cols, 70U);
  EXPECT_TRUE(parts.in_panels && parts.is_checked_f32() && !parts.is_int8());
  EXPECT_EQ(parts.bytes(), 3U * 128 * sizeof(float));
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

}  // namespace
}  // namespace gemmine::kernels
