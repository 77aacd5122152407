// Bytes on disk and wire: little-endian writer, bounded reader, 32-byte digests, hex.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernels/base/result.h"

namespace gemmine {

static_assert(std::endian::native == std::endian::little, "wire and memory order are the same");

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

// A BLAKE3 output, a content address, a commitment root, or a 32-byte public key.
struct Digest {
  std::array<uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
  bool is_zero() const { return *this == Digest{}; }
  ByteView view() const { return bytes; }
};

struct DigestHash {
  size_t operator()(const Digest& digest) const {
    size_t out = 0;
    std::memcpy(&out, digest.bytes.data(), sizeof out);
    return out;
  }
};

std::string to_hex(ByteView bytes);
// Exactly 2·n lower- or upper-case hex digits, nothing else. Errors: malformed.
Result<Bytes> from_hex(std::string_view text);
Result<Digest> digest_from_hex(std::string_view text);

template <class T>
ByteView as_bytes(std::span<T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}
inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Appends fixed-width little-endian fields. Text is u16 length + bytes, blobs u32 length + bytes.
class Writer {
 public:
  template <class T>
  Writer& put(T value) {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    return put_raw(raw);
  }
  Writer& put_f32(float value) { return put(std::bit_cast<uint32_t>(value)); }
  Writer& put_raw(ByteView bytes);  // Not inline: g++ 12 sees overflows in inlined insert chains.
  Writer& put_digest(const Digest& digest) { return put_raw(digest.bytes); }
  Writer& put_text(std::string_view text) {
    GEMMINE_CHECK(text.size() <= UINT16_MAX);
    return put(static_cast<uint16_t>(text.size())).put_raw(as_bytes(text));
  }
  Writer& put_blob(ByteView bytes) {
    GEMMINE_CHECK(bytes.size() <= UINT32_MAX);
    return put(static_cast<uint32_t>(bytes.size())).put_raw(bytes);
  }
  const Bytes& bytes() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

// Reads what Writer wrote. The first read past the end, or over a bound, makes it !ok() for good;
// every later read returns zeros. Check done() once, after the last field.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    T value{};
    const ByteView raw = get_raw(sizeof(T));
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  float get_f32() { return std::bit_cast<float>(get<uint32_t>()); }
  ByteView get_raw(size_t count) {
    if (!ok_ || count > rest_.size()) return fail();
    const ByteView head = rest_.first(count);
    rest_ = rest_.subspan(count);
    return head;
  }
  Digest get_digest() {
    Digest out;
    const ByteView raw = get_raw(out.bytes.size());
    if (raw.size() == out.bytes.size()) std::memcpy(out.bytes.data(), raw.data(), raw.size());
    return out;
  }
  // Printable ASCII only (0x20..0x7e), at most bytes_max.
  std::string get_text(size_t bytes_max) {
    const auto size = get<uint16_t>();
    if (size > bytes_max) return fail(), std::string{};
    const ByteView raw = get_raw(size);
    for (const uint8_t c : raw) {
      if (c < 0x20 || c > 0x7e) return fail(), std::string{};
    }
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }
  ByteView get_blob(size_t bytes_max) {
    const auto size = get<uint32_t>();
    if (size > bytes_max) return fail();
    return get_raw(size);
  }

  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }  // Trailing bytes are an error.
  size_t rest() const { return rest_.size(); }

 private:
  ByteView fail() {
    ok_ = false;
    return {};
  }
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace gemmine
