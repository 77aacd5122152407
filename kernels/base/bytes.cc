#include "kernels/base/bytes.h"

namespace gemmine {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Writer& Writer::put_raw(ByteView bytes) {
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  return *this;
}

std::string to_hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return Error{Errc::malformed, "hex: odd number of digits"};
  Bytes out(text.size() / 2);
  for (size_t i = 0; i < text.size(); ++i) {
    const int value = nibble(text[i]);
    if (value < 0) {
      return Error{Errc::malformed, "hex: character " + std::to_string(i + 1) + " is not 0-9a-f"};
    }
    out[i / 2] = static_cast<uint8_t>(out[i / 2] << 4 | value);
  }
  return out;
}

Result<Digest> digest_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  if (!bytes) return bytes.error();
  Digest out;
  if (bytes.value().size() != out.bytes.size()) {
    return Error{Errc::malformed,
                 "digest: expected 64 hex digits, found " + std::to_string(text.size())};
  }
  std::memcpy(out.bytes.data(), bytes.value().data(), out.bytes.size());
  return out;
}

}  // namespace gemmine
