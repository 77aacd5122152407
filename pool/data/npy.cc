#include "pool/data/npy.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>

#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kRun = 1 << 17;  // elements

constexpr size_t kShownBytes = 60;

// A Python literal's text after `'key':`, up to the comma or brace that ends it; empty when there
// is none.
std::string_view value_of(std::string_view text, std::string_view key) {
  std::string quoted = "'";
  quoted.append(key).append("':");
  const size_t at = text.find(quoted);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + quoted.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  int depth = 0;
  for (size_t end = 0; end < text.size(); ++end) {
    const char c = text[end];
    if (depth == 0 && (c == ',' || c == '}')) return text.substr(0, end);
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
  }
  return {};
}

std::string shown(std::string_view text) {
  return printable(text.substr(0, kShownBytes)) + (text.size() > kShownBytes ? "..." : "");
}

template <class T, class Out>
void widen(ByteView bytes, std::vector<Out>& out) {
  out.resize(bytes.size() / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<Out>(value);
  }
}

// Whole numbers of a kind and size.
template <class Out>
void widen_whole(char kind, uint32_t element_bytes, ByteView bytes, std::vector<Out>& out) {
  const bool is_signed = kind == 'i';
  if (element_bytes == 1) {
    is_signed ? widen<int8_t>(bytes, out) : widen<uint8_t>(bytes, out);
  } else if (element_bytes == 2) {
    is_signed ? widen<int16_t>(bytes, out) : widen<uint16_t>(bytes, out);
  } else if (element_bytes == 4) {
    is_signed ? widen<int32_t>(bytes, out) : widen<uint32_t>(bytes, out);
  } else {
    is_signed ? widen<int64_t>(bytes, out) : widen<uint64_t>(bytes, out);
  }
}

// IEEE binary16: sign, 5 bits of exponent, 10 of fraction.
double half(uint16_t bits) {
  constexpr int kBias = 15;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  double value = exponent == 31  ? (fraction == 0 ? HUGE_VAL : std::nan(""))
                 : exponent == 0 ? std::ldexp(fraction, 1 - kBias - 10)
                                 : std::ldexp(fraction + 1024, exponent - kBias - 10);
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace

Result<NpyReader> NpyReader::open(ByteStream stream, uint64_t bytes_max) {
  NpyReader out(std::move(stream));
  const Error cut{Errc::malformed, out.name() + ": the .npy header is cut short"};
  const auto version = out.stream_.read(2);
  if (!version) return version.error();
  if (version.value().size() < 2) return cut;
  const uint8_t major = version.value()[0];
  if (major < 1 || major > 3)
    return Error{Errc::unsupported,
                 out.name() + ": .npy version " + std::to_string(major) + ", not 1 to 3"};
  const auto length = out.stream_.read(major == 1 ? 2 : 4);
  if (!length) return length.error();
  if (length.value().size() < (major == 1 ? 2U : 4U)) return cut;
  uint32_t size = 0;
  std::memcpy(&size, length.value().data(), length.value().size());
  if (size > kNpyHeaderBytesMax)
    return Error{Errc::malformed, out.name() + ": a .npy header of " + std::to_string(size) +
                                      " bytes, at most " + std::to_string(kNpyHeaderBytesMax) +
                                      " are read"};
  const auto header = out.stream_.read(size);
  if (!header) return header.error();
  if (header.value().size() < size) return cut;
  const std::string text(header.value().begin(), header.value().end());
  if (auto parsed = out.parse_header(text, bytes_max); !parsed) return parsed.error();
  return out;
}

Status NpyReader::parse_header(std::string_view text, uint64_t bytes_max) {
  const std::string_view order = value_of(text, "fortran_order");
  fortran_ = order == "True";
  if (!fortran_ && order != "False") return Error{Errc::malformed, name() + ": no .npy header"};
  if (auto taken = take_type(value_of(text, "descr")); !taken) return taken;
  return take_shape(value_of(text, "shape"), bytes_max);
}

Status NpyReader::take_type(std::string_view descr) {
  const auto one_of = [](char c, std::string_view all) {
    return all.find(c) != std::string_view::npos;
  };
  const bool shaped = descr.size() == 5 && descr.front() == '\'' && descr.back() == '\'';
  const std::string_view type = shaped ? descr.substr(1, 3) : std::string_view("???");
  const bool good =
      one_of(type[0], "<>|=") &&
      ((type[1] == 'b' && type[2] == '1') || (one_of(type[1], "ui") && one_of(type[2], "1248")) ||
       (type[1] == 'f' && one_of(type[2], "248")));
  if (!good)
    return wrong(Errc::unsupported,
                 "elements of type " + shown(descr) +
                     "; numbers are read: save array.astype('<f4') for features, "
                     "array.astype('<i8') for labels and tokens");
  kind_ = type[1];
  element_bytes_ = static_cast<uint32_t>(type[2] - '0');
  swapped_ = type[0] == '>';
  return Ok{};
}

// "(60, 28, 28)". Python 2 wrote "(60L, 28L, 28L)".
Status NpyReader::take_shape(std::string_view text, uint64_t bytes_max) {
  if (text.empty()) return wrong(Errc::malformed, "no shape in the .npy header");
  const Error bad = wrong(Errc::malformed, "the .npy header gives the shape as " + shown(text) +
                                               ", which is no list of whole numbers; load the "
                                               "array and save it again with numpy.save");
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return bad;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  const auto skip = [&](char wanted) {
    while (at != end && *at == ' ')
      ++at;
    const bool found = at != end && *at == wanted;
    if (found) ++at;
    while (at != end && *at == ' ')
      ++at;
    return found;
  };
  for (skip(' '); at != end;) {
    uint64_t side = 0;
    const auto [stop, code] = std::from_chars(at, end, side);
    if (code != std::errc{} || shape_.size() == kNpyDimensionsMax) return bad;
    at = stop != end && *stop == 'L' ? stop + 1 : stop;
    if (!skip(',') && at != end) return bad;
    // One by one, so that the product never wraps.
    if (side == 0 || count_ > bytes_max / element_bytes_ / side)
      return wrong(Errc::invalid,
                   "its shape gives 0 or more than " + std::to_string(bytes_max) + " bytes");
    count_ *= side;
    shape_.push_back(side);
  }
  if (shape_.empty()) return wrong(Errc::invalid, "holds a single number, not an array");
  const uint64_t there = stream_.size_max();
  if (count_ * element_bytes_ > there - std::min(there, stream_.offset()))
    return wrong(Errc::malformed, "its shape gives " + std::to_string(count_ * element_bytes_) +
                                      " bytes, and the file has fewer");
  return Ok{};
}

Result<Bytes> NpyReader::next_bytes() {
  const uint64_t wanted = std::min(count_ - done_, kRun);
  auto bytes = stream_.read(wanted == 0 ? 1 : wanted * element_bytes_);
  if (!bytes) return bytes;
  if (bytes.value().size() != wanted * element_bytes_)
    return Error{Errc::malformed,
                 name() + ": its shape gives " + std::to_string(count_ * element_bytes_) +
                     " bytes, and the file has " + (wanted == 0 ? "more" : "fewer")};
  if (swapped_) {
    for (auto at = bytes.value().begin(); at != bytes.value().end(); at += element_bytes_)
      std::reverse(at, at + element_bytes_);
  }
  done_ += wanted;
  GEMMINE_CHECK(done_ <= count_);
  return bytes;
}

Result<std::span<const int64_t>> NpyReader::next() {
  GEMMINE_CHECK(!is_real());
  const auto bytes = next_bytes();
  if (!bytes) return bytes.error();
  widen_whole(kind_, element_bytes_, bytes.value(), run_);
  return std::span<const int64_t>(run_);
}

Result<std::span<const double>> NpyReader::next_reals() {
  const auto bytes = next_bytes();
  if (!bytes) return bytes.error();
  if (!is_real()) {
    widen_whole(kind_, element_bytes_, bytes.value(), reals_);
  } else if (element_bytes_ == 4) {
    widen<float>(bytes.value(), reals_);
  } else if (element_bytes_ == 8) {
    widen<double>(bytes.value(), reals_);
  } else {
    reals_.clear();
    std::vector<uint16_t> halves;
    widen<uint16_t>(bytes.value(), halves);
    std::ranges::transform(halves, std::back_inserter(reals_), half);
  }
  return std::span<const double>(reals_);
}

}  // namespace gemmine::pool
