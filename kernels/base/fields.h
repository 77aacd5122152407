// One description of a record's bytes for both directions.
//
// A record R has `static void fields(auto& f, auto& r)` that names its fields in the order of their
// bytes, and R::kName, which errors begin with. encode(r) and decode<R>(bytes) follow from it, so
// that no field can be written in one order and read in another:
//
//   struct Ping {
//     static constexpr std::string_view kName = "PING";
//     uint64_t echo = 0;
//     static void fields(auto& f, auto& m) { f(m.echo); }
//   };
//
// Integers are little-endian, text is u16 length + printable ASCII, a blob u32 length + bytes, a
// list a count and its items. Bounds and must() hold when reading: encode() writes what it is given
// (tests make wrong records with it), decode() refuses what is out of bounds before it allocates.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/printable.h"

namespace gemmine {

template <class T>
concept PlainField = (std::is_integral_v<T> || std::is_enum_v<T>)&&!std::same_as<T, bool>;

// Writes the fields of a record.
class PutFields {
 public:
  static constexpr bool kReads = false;

  template <PlainField T>
  PutFields& operator()(T value) {
    out_.put(value);
    return *this;
  }
  PutFields& operator()(bool flag) { return (*this)(static_cast<uint8_t>(flag)); }
  PutFields& operator()(float value) {
    out_.put_f32(value);
    return *this;
  }
  PutFields& operator()(double value) {
    out_.put(std::bit_cast<uint64_t>(value));
    return *this;
  }
  PutFields& operator()(const Digest& digest) {
    out_.put_digest(digest);
    return *this;
  }
  // An array of bytes without a length.
  template <size_t kBytes>
  PutFields& raw(const std::array<uint8_t, kBytes>& array) {
    out_.put_raw(array);
    return *this;
  }
  PutFields& text(std::string_view text, size_t /*bytes_max*/) {
    out_.put_text(text);
    return *this;
  }
  // Words of a person in any script: UTF-8 that printable() leaves as it is.
  PutFields& name(std::string_view text, size_t /*bytes_max*/) {
    out_.put_text(text);
    return *this;
  }
  // Words of ours for a person: what the reader would refuse is cut off or replaced by '?'.
  PutFields& words(std::string_view text, size_t bytes_max) {
    std::string fit(text.substr(0, bytes_max));
    for (char& c : fit) {
      if (c < 0x20 || c > 0x7e) c = '?';
    }
    return this->text(fit, bytes_max);
  }
  PutFields& blob(ByteView blob, size_t /*bytes_max*/) {
    out_.put_blob(blob);
    return *this;
  }
  // Another record, in place.
  template <class R>
  PutFields& record(const R& record) {
    R::fields(*this, record);
    return *this;
  }
  // A count of type Count, then the items: numbers, digests or records.
  template <class Count, class Item>
  PutFields& list(const std::vector<Item>& items, size_t /*count_max*/) {
    GEMMINE_CHECK(items.size() <= std::numeric_limits<Count>::max());
    out_.put(static_cast<Count>(items.size()));
    return items_of(items);
  }
  // `count` items without a count of their own.
  template <class Item>
  PutFields& array(const std::vector<Item>& items, size_t count) {
    GEMMINE_CHECK(items.size() == count);
    return items_of(items);
  }
  // A field that has only one value.
  template <PlainField T>
  PutFields& constant(T value) {
    return (*this)(value);
  }
  PutFields& must(bool /*holds*/) { return *this; }

  Bytes take() { return out_.take(); }

 private:
  template <class Item>
  PutFields& items_of(const std::vector<Item>& items) {
    for (const Item& item : items) {
      if constexpr (requires { (*this)(item); }) {
        (*this)(item);
      } else {
        record(item);
      }
    }
    return *this;
  }
  Writer out_;
};

// Reads them. The first thing that is wrong makes the whole record wrong; see error().
class GetFields {
 public:
  static constexpr bool kReads = true;

  explicit GetFields(ByteView bytes) : in_(bytes) {}

  template <PlainField T>
  GetFields& operator()(T& value) {
    value = in_.get<T>();
    return *this;
  }
  GetFields& operator()(bool& flag) {
    const auto byte = in_.get<uint8_t>();
    flag = byte != 0;
    return must(byte <= 1);
  }
  GetFields& operator()(float& value) {
    value = in_.get_f32();
    return *this;
  }
  GetFields& operator()(double& value) {
    value = std::bit_cast<double>(in_.get<uint64_t>());
    return *this;
  }
  GetFields& operator()(Digest& digest) {
    digest = in_.get_digest();
    return *this;
  }
  template <size_t kBytes>
  GetFields& raw(std::array<uint8_t, kBytes>& array) {
    const ByteView bytes = in_.get_raw(kBytes);
    std::copy(bytes.begin(), bytes.end(), array.begin());
    return *this;
  }
  GetFields& text(std::string& text, size_t bytes_max) {
    text = in_.get_text(bytes_max);
    return *this;
  }
  GetFields& name(std::string& text, size_t bytes_max) {
    const auto size = in_.get<uint16_t>();
    const ByteView raw = must(size <= bytes_max).good() ? in_.get_raw(size) : ByteView{};
    text.assign(raw.begin(), raw.end());
    return must(printable(text) == text);
  }
  GetFields& words(std::string& text, size_t bytes_max) { return this->text(text, bytes_max); }
  GetFields& blob(Bytes& blob, size_t bytes_max) {
    const ByteView bytes = good() ? in_.get_blob(bytes_max) : ByteView{};
    blob.assign(bytes.begin(), bytes.end());
    return *this;
  }
  template <class R>
  GetFields& record(R& record) {
    R::fields(*this, record);
    return *this;
  }
  template <class Count, class Item>
  GetFields& list(std::vector<Item>& items, size_t count_max) {
    const auto count = in_.get<Count>();
    return array(items, must(count <= count_max).good() ? count : 0);
  }
  // `count` is checked by the caller. Grows with the bytes that are there, not with the count.
  template <class Item>
  GetFields& array(std::vector<Item>& items, size_t count) {
    items.clear();
    for (size_t i = 0; i < count && good(); ++i) {
      Item& item = items.emplace_back();
      if constexpr (requires { (*this)(item); }) {
        (*this)(item);
      } else {
        record(item);
      }
    }
    return *this;
  }
  template <PlainField T>
  GetFields& constant(T value) {
    return must(in_.get<T>() == value);
  }
  GetFields& must(bool holds) {
    in_bounds_ = in_bounds_ && holds;
    return *this;
  }

  // Nothing is wrong so far.
  bool good() const { return in_bounds_ && in_.ok(); }
  // What is wrong with the record; null when it is whole, in bounds, and nothing follows it.
  const char* error() const {
    if (!in_.ok()) return "is cut short or over a bound";
    if (!in_bounds_) return "has a value out of bounds";
    return in_.done() ? nullptr : "has trailing bytes";
  }

 private:
  Reader in_;
  bool in_bounds_ = true;
};

// A record that describes itself.
template <class R>
concept Fielded = requires(PutFields& put, const R& record) {
  R::fields(put, record);
  { R::kName } -> std::convertible_to<std::string_view>;
};

template <Fielded R>
Bytes encode(const R& record) {
  PutFields put;
  R::fields(put, record);
  return put.take();
}

// Errors: malformed, for bytes that are too few, too many or out of a bound.
template <Fielded R>
Result<R> decode(ByteView bytes) {
  R out;
  GetFields get(bytes);
  R::fields(get, out);
  if (const char* const wrong = get.error())
    return Error{Errc::malformed, std::string(R::kName) + " " + wrong};
  return out;
}

}  // namespace gemmine
