// IDX files from anywhere: refused, or as many bytes as their dimensions say.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/dataset.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kBytesMax = 1 << 20;
  const auto idx = gp::parse_idx({data, size}, "fuzz.idx", kBytesMax);
  if (!idx) {
    GEMMINE_CHECK(idx.error().detail.starts_with("fuzz.idx"));
    return 0;
  }
  uint64_t product = 1;
  for (const uint32_t side : idx.value().dimensions) {
    GEMMINE_CHECK(side > 0);
    product *= side;
  }
  GEMMINE_CHECK(product == idx.value().data.size() && product <= kBytesMax);
  return 0;
}
