// .npy arrays from anywhere: refused with the file's name, or as many elements as their shape says.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/npy.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kBytesMax = 1 << 20;
  auto npy =
      gp::NpyReader::open(gp::ByteStream::over({data, size}, "fuzz.npy", kBytesMax), kBytesMax);
  if (!npy) {
    GEMMINE_CHECK(npy.error().detail.starts_with("fuzz.npy"));
    return 0;
  }
  uint64_t product = 1;
  for (const uint64_t side : npy.value().shape())
    product *= side;
  GEMMINE_CHECK(product == npy.value().count() && product <= kBytesMax);
  uint64_t seen = 0;
  while (true) {
    // Whole numbers by the one or the other, real ones as such.
    const bool reals = npy.value().is_real() || (product & 1) != 0;
    const auto counted = [&]() -> gemmine::Result<size_t> {
      if (reals) {
        const auto run = npy.value().next_reals();
        return run ? gemmine::Result<size_t>(run.value().size()) : run.error();
      }
      const auto run = npy.value().next();
      return run ? gemmine::Result<size_t>(run.value().size()) : run.error();
    };
    const auto count = counted();
    if (!count) {
      GEMMINE_CHECK(count.error().detail.starts_with("fuzz.npy"));
      return 0;
    }
    if (count.value() == 0) break;
    seen += count.value();
  }
  GEMMINE_CHECK(seen == product);
  return 0;
}
