// Hex and Reader: what decodes encodes back to the same bytes, and nothing reads past the end.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/check.h"

namespace {

void check_hex(std::string_view text) {
  const auto bytes = gemmine::from_hex(text);
  if (!bytes.ok()) return;
  std::string lower(text);
  for (char& c : lower)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  GEMMINE_CHECK(gemmine::to_hex(bytes.value()) == lower);
}

// A text, a blob and the rest: written again they must be the same input.
void check_reader(gemmine::ByteView input) {
  gemmine::Reader reader(input);
  const std::string text = reader.get_text(64);
  const gemmine::ByteView blob = reader.get_blob(1024);
  const gemmine::ByteView tail = reader.get_raw(reader.rest());
  if (!reader.done()) return;
  gemmine::Writer writer;
  writer.put_text(text).put_blob(blob).put_raw(tail);
  GEMMINE_CHECK(std::ranges::equal(writer.bytes(), input));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView input(data, size);
  check_hex({reinterpret_cast<const char*>(data), size});
  check_reader(input);
  return 0;
}
