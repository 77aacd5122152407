// What a relay and its clients read of each other's HTTP: nothing outside its bounds comes out, and
// what is read as an address writes the same address.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/check.h"
#include "pool/wire/http.h"

namespace pool = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto end = pool::http_head_end(text); end) {
    GEMMINE_CHECK(*end <= size && text.substr(*end - 4, 4) == std::string_view("\r\n\r\n"));
    const auto head = pool::parse_http_head(text.substr(0, *end));
    if (head) {
      const pool::HttpHead& read = head.value();
      GEMMINE_CHECK(*end <= pool::kHttpHeadBytesMax && read.status >= 100 && read.status <= 599);
      GEMMINE_CHECK(!read.range || (read.range->first <= read.range->last &&
                                    read.range->last < read.range->total));
    }
  }
  for (const uint64_t total : {uint64_t{0}, uint64_t{10}, UINT64_MAX}) {
    const auto range = pool::parse_byte_range(text, total);
    if (!range || !range.value()) continue;
    const pool::ByteRange& part = *range.value();
    GEMMINE_CHECK(part.bytes >= 1 && part.first < total && part.bytes <= total - part.first);
  }
  if (const auto path = pool::parse_blob_url(text); path)
    GEMMINE_CHECK(pool::parse_blob_url(pool::blob_url(*path)) == path);
  if (const auto address = pool::parse_http_address(text); address) {
    const auto again = pool::parse_http_address("http://" + address.value().text());
    GEMMINE_CHECK(again && again.value() == address.value());
  }
  return 0;
}
