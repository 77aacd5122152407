// The levels of launches that add whole vectors, computed here with rowsum, against longsum.
#include "kernels/cuda/host/longsum_levels.h"

#include <gtest/gtest.h>

#include "kernels/numbers/numerics.h"

namespace gemmine::test {
namespace {

using kernels::cuda::longsum_levels;
using kernels::cuda::SumPiece;

std::vector<float> sums_of(const std::vector<float>& values, std::vector<SumPiece> vectors,
                           size_t levels_wanted) {
  const auto levels = longsum_levels(std::move(vectors));
  EXPECT_EQ(levels.size(), levels_wanted);
  std::vector<float> below = values;
  for (const auto& level : levels) {
    std::vector<float> sums;
    for (const SumPiece& piece : level) {
      EXPECT_LE(piece.count, kernels::kLongSumBlock);
      sums.push_back(kernels::rowsum(&below[piece.first], piece.count));
    }
    below = sums;
  }
  return below;
}

TEST(LongsumLevels, AddAsLongsumDoes) {
  constexpr uint32_t kBlock = 4096;
  const std::vector<uint32_t> counts = {1, 31, kBlock, kBlock + 1, 3 * kBlock, 70000, 2};
  for (const uint32_t longest : {5U, kBlock * kBlock + 3}) {
    std::vector<SumPiece> vectors;
    uint64_t end = 0;
    for (const uint32_t count : counts) {
      vectors.push_back({end, count});
      end += count;
    }
    vectors.push_back({end, longest});
    std::vector<float> values(end + longest);
    uint32_t x = 1;
    for (float& value : values) {
      x = x * 1664525 + 1013904223;
      value = static_cast<float>(x >> 8) * 0x1p-20F;
    }
    const std::vector<float> sums = sums_of(values, vectors, longest == 5 ? 2 : 3);
    ASSERT_EQ(sums.size(), vectors.size());
    for (size_t i = 0; i < sums.size(); ++i)
      EXPECT_EQ(sums[i], kernels::longsum(&values[vectors[i].first], vectors[i].count)) << i;
  }
}

TEST(LongsumLevels, OneLevelIsEnoughForShortVectors) {
  EXPECT_EQ(longsum_levels({{7, 1}, {8, 4096}}).size(), 1U);
}

}  // namespace
}  // namespace gemmine::test
