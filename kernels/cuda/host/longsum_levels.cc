#include "kernels/cuda/host/longsum_levels.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {

std::vector<std::vector<SumPiece>> longsum_levels(std::vector<SumPiece> vectors) {
  constexpr uint64_t kPiece = kLongSumBlock;
  for (const SumPiece& vector : vectors)
    GEMMINE_CHECK(vector.count > 0);
  std::vector<std::vector<SumPiece>> levels;
  bool is_last = false;
  while (!is_last) {
    std::vector<SumPiece>& level = levels.emplace_back();
    is_last = true;
    for (SumPiece& vector : vectors) {
      const uint64_t first = level.size();
      const uint64_t end = vector.first + vector.count;
      for (uint64_t at = vector.first; at < end; at += kPiece)
        level.push_back({at, static_cast<uint32_t>(std::min(kPiece, end - at))});
      vector = {first, static_cast<uint32_t>(level.size() - first)};
      is_last = is_last && vector.count == 1;
    }
  }
  return levels;
}

}  // namespace gemmine::kernels::cuda
