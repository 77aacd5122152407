#include "pool/wire/http.h"

#include <algorithm>
#include <charconv>

#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

constexpr std::string_view kBlobs = "/blobs/";
constexpr std::string_view kTree = ".tree";
constexpr size_t kHexDigits = 64;

Error malformed(const char* what) {
  return {Errc::malformed, std::string("an HTTP answer ") + what};
}

// A decimal number and nothing else: no sign, no space, no digit too many.
std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || code != std::errc{} || end != text.data() + text.size()) return {};
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_named(std::string_view name, std::string_view wanted) {
  return std::equal(name.begin(), name.end(), wanted.begin(), wanted.end(),
                    [](char a, char b) { return lower(a) == b; });
}

// "bytes 2-5/10"
std::optional<HttpHead::Range> range_of(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (!value.starts_with(kUnit)) return {};
  value.remove_prefix(kUnit.size());
  const size_t dash = value.find('-');
  const size_t slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return {};
  const auto first = number_of(value.substr(0, dash));
  const auto last = number_of(value.substr(dash + 1, slash - dash - 1));
  const auto total = number_of(value.substr(slash + 1));
  if (!first || !last || !total || *first > *last || *last >= *total) return {};
  return HttpHead::Range{*first, *last, *total};
}

template <class T>
Status take_once(std::optional<T>& field, const std::optional<T>& value) {
  if (field || !value) return malformed("has a field twice, or one that cannot be read");
  field = value;
  return Ok{};
}

Status take_field(HttpHead& head, std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos || trimmed(line) != line)
    return malformed("has a line that is no field");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (is_named(name, "content-length")) return take_once(head.length, number_of(value));
  if (is_named(name, "content-range")) {
    if (head.status != 206) return Ok{};  // a 416 has one of another form
    return take_once(head.range, range_of(value));
  }
  if (is_named(name, "gemmine-have")) return take_once(head.have, number_of(value));
  if (is_named(name, "transfer-encoding"))
    return malformed("comes in a transfer coding; a relay sends what it promises as it is");
  return Ok{};
}

// "HTTP/1.1 206 Partial Content"
std::optional<uint16_t> status_of(std::string_view line) {
  if (line.size() < 12 || !(line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")))
    return {};
  const auto status = number_of(line.substr(9, 3));
  if (!status || *status < 100 || *status > 599) return {};
  if (line.size() > 12 && line[12] != ' ') return {};
  return static_cast<uint16_t>(*status);
}

}  // namespace

std::optional<size_t> http_head_end(std::string_view received) {
  const size_t at = received.find("\r\n\r\n");
  if (at == std::string_view::npos) return {};
  return at + 4;
}

Result<HttpHead> parse_http_head(std::string_view head) {
  if (head.size() > kHttpHeadBytesMax) return malformed("has a head that is too long");
  if (http_head_end(head) != head.size()) return malformed("has no whole head");
  HttpHead out;
  size_t end = head.find("\r\n");
  const auto status = status_of(head.substr(0, end));
  if (!status) return malformed("is none");
  out.status = *status;
  for (size_t at = end + 2; at + 2 < head.size(); at = end + 2) {
    end = head.find("\r\n", at);
    if (const Status taken = take_field(out, head.substr(at, end - at)); !taken)
      return taken.error();
  }
  return out;
}

Result<std::optional<ByteRange>> parse_byte_range(std::string_view field, uint64_t total) {
  constexpr std::string_view kUnit = "bytes=";
  const std::optional<ByteRange> all;
  if (!field.starts_with(kUnit)) return all;
  field.remove_prefix(kUnit.size());
  const size_t dash = field.find('-');
  if (dash == std::string_view::npos) return all;
  const auto first = number_of(field.substr(0, dash));
  const auto last = number_of(field.substr(dash + 1));
  const Error behind{Errc::invalid, "there are only " + std::to_string(total) + " bytes"};
  if (dash == 0) {
    if (!last) return all;
    if (*last == 0 || total == 0) return behind;
    const uint64_t bytes = std::min(*last, total);
    return std::optional(ByteRange{total - bytes, bytes});
  }
  if (!first || (!last && dash + 1 != field.size()) || (last && *last < *first)) return all;
  if (*first >= total) return behind;
  const uint64_t end = last ? std::min(*last, total - 1) : total - 1;
  return std::optional(ByteRange{*first, end - *first + 1});
}

std::string blob_url(const BlobPath& path) {
  std::string out(kBlobs);
  out += to_hex(path.address.bytes);
  if (path.tree) out += kTree;
  return out;
}

std::optional<BlobPath> parse_blob_url(std::string_view url) {
  if (!url.starts_with(kBlobs)) return {};
  url.remove_prefix(kBlobs.size());
  if (url.size() < kHexDigits) return {};
  const std::string_view rest = url.substr(kHexDigits);
  const auto address = digest_from_hex(url.substr(0, kHexDigits));
  if (!address || (!rest.empty() && rest != kTree)) return {};
  return BlobPath{address.value(), !rest.empty()};
}

std::string HttpAddress::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HttpAddress> parse_http_address(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const std::string whole = printable(text);
  const auto wrong = [&](const std::string& why) {
    return Error{Errc::invalid_argument, "relay address '" + whole + "': " + why +
                                             " (expected http://host:port, for example "
                                             "http://192.168.0.2:4481)"};
  };
  if (text.starts_with("https://"))
    return wrong("a relay speaks plain http: what it sends is checked by its hash");
  if (!text.starts_with(kScheme)) return wrong("http:// is missing");
  text.remove_prefix(kScheme.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?#@ ") != std::string_view::npos)
    return wrong("nothing comes after the port, and no user before the host");
  HttpAddress out{{}, kRelayPort};
  const size_t bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const auto port = number_of(text.substr(colon + 1));
    if (!port || *port == 0 || *port > UINT16_MAX)
      return wrong("the port is not a number from 1 to 65535 (an IPv6 address needs [brackets])");
    out.port = static_cast<uint16_t>(*port);
    text = text.substr(0, colon);
  }
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return wrong("an IPv6 address needs [brackets]");
    text = text.substr(1, text.size() - 2);
  }
  if (text.empty() || text.size() > 253) return wrong("the host is missing");
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '[' || c == ']') return wrong("that is no name of a host");
  }
  out.host = std::string(text);
  return out;
}

}  // namespace gemmine::pool
