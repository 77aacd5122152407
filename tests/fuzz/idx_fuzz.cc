// IDX files from anywhere: refused, or as many bytes as their dimensions say.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/idx.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kBytesMax = 1 << 20;
  auto idx =
      gp::IdxReader::open(gp::ByteStream::over({data, size}, "fuzz.idx", kBytesMax), kBytesMax);
  if (!idx) {
    GEMMINE_CHECK(idx.error().detail.starts_with("fuzz.idx"));
    return 0;
  }
  uint64_t product = 1;
  for (const uint64_t side : idx.value().shape()) {
    GEMMINE_CHECK(side > 0);
    product *= side;
  }
  GEMMINE_CHECK(product == idx.value().count() && product <= kBytesMax);
  uint64_t seen = 0;
  while (true) {
    const auto run = idx.value().next();
    if (!run) {
      GEMMINE_CHECK(run.error().detail.starts_with("fuzz.idx"));
      return 0;
    }
    if (run.value().empty()) break;
    seen += run.value().size();
  }
  GEMMINE_CHECK(seen == product);
  return 0;
}
