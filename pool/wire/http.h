// The little of HTTP/1.1 that a relay and its clients need (PROTOCOL 14), as texts: heads of
// answers, byte ranges, addresses. Pure; every input is bounded by its reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

inline constexpr size_t kHttpHeadBytesMax = size_t{8} << 10;

// The head of an answer, as far as we look at it.
struct HttpHead {
  uint16_t status = 0;
  std::optional<uint64_t> length;  // Content-Length
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t total = 0;
    bool operator==(const Range&) const = default;
  };
  std::optional<Range> range;    // Content-Range
  std::optional<uint64_t> have;  // Gemmine-Have: bytes that the relay has of a blob on its way
  bool operator==(const HttpHead&) const = default;
};

// Where the head ends in what was received so far, its empty line included; nothing: not yet.
std::optional<size_t> http_head_end(std::string_view received);
// `head` ends with its empty line. Errors: malformed (no HTTP/1 head, a field twice or not as it
// should be, another Transfer-Encoding than none, longer than kHttpHeadBytesMax).
Result<HttpHead> parse_http_head(std::string_view head);

// What "Range: bytes=2-5", "2-" or "-3" asks of `total` bytes.
struct ByteRange {
  uint64_t first = 0;
  uint64_t bytes = 0;
  bool operator==(const ByteRange&) const = default;
};
// Nothing: no single range of bytes, and then all of it is sent, as RFC 9110 has it.
// Errors: invalid (a range that begins behind the end: 416).
Result<std::optional<ByteRange>> parse_byte_range(std::string_view field, uint64_t total);

// What a path of a relay names.
struct BlobPath {
  Digest address;
  bool tree = false;  // of the blob, not the blob
  bool operator==(const BlobPath&) const = default;
};
std::string blob_url(const BlobPath& path);  // "/blobs/HEX" or "/blobs/HEX.tree"
std::optional<BlobPath> parse_blob_url(std::string_view url);

// "http://host:port", with or without a last slash; the port is 4481 where none is named.
struct HttpAddress {
  std::string host;
  uint16_t port = 0;
  std::string text() const;  // "host:port" or "[v6]:port"
  bool operator==(const HttpAddress&) const = default;
};
inline constexpr uint16_t kRelayPort = 4481;
// Errors: invalid_argument, saying what is wrong and what is expected.
Result<HttpAddress> parse_http_address(std::string_view text);

}  // namespace gemmine::pool
