// Choices of blocks: always inside the step, and where the protocol lets them be.
#include "verifier/audit/choice.h"

#include <set>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt_job.h"
#include "tests/support/toy_job.h"
#include "verifier/merge/delta.h"

namespace gemmine::verifier {
namespace {

constexpr uint32_t kSteps = 3;

std::vector<BlockChoice> many(const kernels::Program& program, bool last_share) {
  std::vector<BlockChoice> out;
  const AuditPolicy policy{.thread_blocks = 64};
  for (uint32_t coin = 0; coin < 40; ++coin) {
    const Digest seed = kernels::blake3(Writer().put(coin).bytes());
    for (const BlockChoice& choice : choose_blocks(program, policy, seed, kSteps, last_share))
      out.push_back(choice);
  }
  return out;
}

TEST(Choice, LiesInsideItsTensorAndItsShare) {
  for (const Job& job : {test::toy_job(), test::toy_gpt_job(testing::toy_gpt())}) {
    const auto program = kernels::Program::make(job.spec).value();
    std::set<uint32_t> drawn;
    for (const BlockChoice& choice : many(program, false)) {
      ASSERT_FALSE(choice.delta) << "only a lease's last share has one";
      const kernels::TensorInfo& tensor = program.tensors().at(choice.position);
      ASSERT_TRUE(tensor.is_int8() || tensor.is_checked_f32());
      ASSERT_LT(choice.tile_row, tiles_down(tensor));
      ASSERT_LT(choice.tile_col, tiles_across(tensor));
      ASSERT_LT(choice.step, reads_state_before(tensor) ? 1 : kSteps);
      ASSERT_TRUE(tensor.is_int8() || choice.group == 0);
      drawn.insert(choice.position);
    }
    uint32_t audited = 0;
    for (const kernels::TensorInfo& tensor : program.tensors())
      audited += tensor.is_int8() || tensor.is_checked_f32() ? 1 : 0;
    EXPECT_EQ(drawn.size(), audited) << "some tensor is never looked at";
  }
}

TEST(Choice, OfALastShareIsAlsoADelta) {
  const auto program = kernels::Program::make(test::toy_job().spec).value();
  uint32_t deltas = 0;
  for (const BlockChoice& choice : many(program, true)) {
    if (!choice.delta) continue;
    ++deltas;
    EXPECT_LT(choice.tile_row, (program.parameters() + kDeltaBlock - 1) / kDeltaBlock);
    EXPECT_EQ(choice.position + choice.tile_col + choice.group + choice.step, 0U);
  }
  EXPECT_GT(deltas, 0U);
}

TEST(Choice, CountsTheScaleGroupsThatATileTouches) {
  kernels::TensorInfo tensor{};
  tensor.groups = kernels::Groups::row_segments;
  tensor.rows = 1;
  tensor.cols = 200;
  tensor.span = 200;
  EXPECT_EQ(segments_in_tile(tensor, 0), 1U);
  EXPECT_EQ(segments_in_tile(tensor, 3), 1U);
  tensor.span = 20;
  EXPECT_EQ(segments_in_tile(tensor, 0), 4U) << "columns 0 to 63: segments 0, 1, 2, 3";
  EXPECT_EQ(segments_in_tile(tensor, 1), 4U) << "columns 64 to 127: segments 3, 4, 5, 6";
  EXPECT_EQ(segments_in_tile(tensor, 3), 1U) << "columns 192 to 199: segment 9";
}

}  // namespace
}  // namespace gemmine::verifier
