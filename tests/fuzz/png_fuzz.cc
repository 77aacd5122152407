// PNG files from anywhere: refused with the file's name, or as many pixels as they say.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/images.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto pixels = gp::decode_png({data, size}, "fuzz");
  if (!pixels) {
    GEMMINE_CHECK(pixels.error().detail.starts_with("fuzz"));
    return 0;
  }
  const gp::Pixels& image = pixels.value();
  GEMMINE_CHECK(image.width <= gp::kImageSideMax && image.height <= gp::kImageSideMax);
  GEMMINE_CHECK(image.channels == 1 || image.channels == 3);
  GEMMINE_CHECK(image.bytes.size() == size_t{image.width} * image.height * image.channels);
  return 0;
}
