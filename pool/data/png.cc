// PNG files, by libpng.
#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <png.h>

#include "kernels/base/printable.h"
#include "pool/data/images.h"

namespace gemmine::pool {
namespace {

// What libpng's callbacks know. libpng jumps out of them, over nothing that has a destructor.
struct Reading {
  const uint8_t* bytes;
  size_t size;
  size_t at;
  char why[96];
};

[[noreturn]] void give_up(png_structp png, png_const_charp why) {
  auto* const reading = static_cast<Reading*>(png_get_error_ptr(png));
  std::strncpy(reading->why, why, sizeof reading->why - 1);
  std::longjmp(png_jmpbuf(png), 1);
}
void ignore(png_structp /*png*/, png_const_charp /*why*/) {}

void give_bytes(png_structp png, png_bytep out, png_size_t count) {
  auto* const reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (count > reading->size - reading->at) png_error(png, "the file is cut short");
  std::memcpy(out, reading->bytes + reading->at, count);
  reading->at += count;
}

struct PngEnd {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~PngEnd() { png_destroy_read_struct(&png, &info, nullptr); }
};

// The header, with the transformations that lose nothing. False: libpng gave up.
bool read_header(const PngEnd& end) {
  // NOLINTNEXTLINE(cert-err52-cpp): libpng's way to fail
  if (setjmp(png_jmpbuf(end.png)) != 0) return false;
  png_set_user_limits(end.png, kImageSideMax, kImageSideMax);
  png_read_info(end.png, end.info);
  if (png_get_color_type(end.png, end.info) == PNG_COLOR_TYPE_PALETTE)
    png_set_palette_to_rgb(end.png);
  if (png_get_color_type(end.png, end.info) == PNG_COLOR_TYPE_GRAY &&
      png_get_bit_depth(end.png, end.info) < 8)
    png_set_expand_gray_1_2_4_to_8(end.png);
  png_set_interlace_handling(end.png);
  png_read_update_info(end.png, end.info);
  return true;
}

bool read_rows(const PngEnd& end, png_bytepp rows) {
  // NOLINTNEXTLINE(cert-err52-cpp): as above
  if (setjmp(png_jmpbuf(end.png)) != 0) return false;
  png_read_image(end.png, rows);
  png_read_end(end.png, nullptr);
  return true;
}

}  // namespace

Result<Pixels> decode_png(ByteView file, const std::string& name) {
  constexpr size_t kSignatureBytes = 8;
  if (file.size() < kSignatureBytes || png_sig_cmp(file.data(), 0, kSignatureBytes) != 0)
    return Error{Errc::unsupported,
                 name +
                     ": is no PNG file. Decoders of JPEG differ in their last bits, and a job's "
                     "data are the same everywhere: convert images once, for example with "
                     "`mogrify -format png *.jpg`"};
  Reading reading{file.data(), file.size(), 0, {}};
  const auto failed = [&] { return Error{Errc::malformed, name + ": " + printable(reading.why)}; };
  PngEnd end;
  end.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, give_up, ignore);
  if (end.png != nullptr) end.info = png_create_info_struct(end.png);
  if (end.info == nullptr) return Error{Errc::out_of_memory, name + ": no memory to read it"};
  png_set_read_fn(end.png, &reading, give_bytes);
  if (!read_header(end)) return failed();
  const auto has_gaps = png_get_valid(end.png, end.info, PNG_INFO_tRNS) != 0 ||
                        (png_get_color_type(end.png, end.info) & PNG_COLOR_MASK_ALPHA) != 0;
  if (has_gaps || png_get_bit_depth(end.png, end.info) != 8)
    return Error{Errc::unsupported, name + (has_gaps ? ": has transparent pixels; remove them with "
                                                       "`mogrify -alpha remove -alpha off`"
                                                     : ": has 16 bits a channel; make them 8 with "
                                                       "`mogrify -depth 8`")};
  Pixels out{.width = png_get_image_width(end.png, end.info),
             .height = png_get_image_height(end.png, end.info),
             .channels = png_get_channels(end.png, end.info),
             .bytes = {}};
  const size_t row_bytes = size_t{out.width} * out.channels;
  GEMMINE_CHECK(png_get_rowbytes(end.png, end.info) == row_bytes);
  out.bytes.resize(row_bytes * out.height);
  std::vector<png_bytep> rows(out.height);
  for (size_t y = 0; y < rows.size(); ++y)
    rows[y] = out.bytes.data() + y * row_bytes;
  if (!read_rows(end, rows.data())) return failed();
  return out;
}

}  // namespace gemmine::pool
