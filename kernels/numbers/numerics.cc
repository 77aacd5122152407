#include "kernels/numbers/numerics.h"

#include <algorithm>
#include <vector>

namespace gemmine::kernels {

float longsum(const float* x, size_t count) {
  if (count <= kLongSumBlock) return rowsum(x, count);
  std::vector<float> sums;
  for (size_t i = 0; i < count; i += kLongSumBlock)
    sums.push_back(rowsum(x + i, std::min(kLongSumBlock, count - i)));
  return longsum(sums.data(), sums.size());
}

}  // namespace gemmine::kernels
