#include "pool/data/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>

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

template <class T>
void widen(ByteView bytes, std::vector<int64_t>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<int64_t>(value);
  }
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
  if (order == "True")
    return Error{Errc::unsupported,
                 name() + ": is in Fortran order; save numpy.ascontiguousarray(array)"};
  if (order != "False") return Error{Errc::malformed, name() + ": no .npy header"};
  if (auto taken = take_type(value_of(text, "descr")); !taken) return taken;
  return take_shape(value_of(text, "shape"), bytes_max);
}

Status NpyReader::take_type(std::string_view descr) {
  const auto size = [&](char digit) {
    return digit == '1' || digit == '2' || digit == '4' || digit == '8';
  };
  const bool good = descr.size() == 5 && descr.front() == '\'' && descr.back() == '\'' &&
                    (descr[1] == '<' || (descr[1] == '|' && descr[3] == '1')) &&
                    (descr[2] == 'u' || descr[2] == 'i') && size(descr[3]);
  const bool real = descr.size() == 5 && descr[2] == 'f';
  if (!good)
    return wrong(Errc::unsupported,
                 "elements of type " + shown(descr) + "; whole numbers, little-endian, are read: " +
                     (real ? "scale images to 0 ... 255 first, and save "
                             "numpy.rint(array * 255).astype('u1') where 1 is white; save tokens "
                             "and labels as array.astype('<u2')"
                           : "save array.astype('<u2') or array.astype('u1')"));
  is_signed_ = descr[2] == 'i';
  element_bytes_ = static_cast<uint32_t>(descr[3] - '0');
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

Result<std::span<const int64_t>> NpyReader::next() {
  const uint64_t wanted = std::min(count_ - done_, kRun);
  const auto bytes = stream_.read(wanted == 0 ? 1 : wanted * element_bytes_);
  if (!bytes) return bytes.error();
  if (bytes.value().size() != wanted * element_bytes_)
    return Error{Errc::malformed,
                 name() + ": its shape gives " + std::to_string(count_ * element_bytes_) +
                     " bytes, and the file has " + (wanted == 0 ? "more" : "fewer")};
  run_.resize(wanted);
  if (element_bytes_ == 1) {
    is_signed_ ? widen<int8_t>(bytes.value(), run_) : widen<uint8_t>(bytes.value(), run_);
  } else if (element_bytes_ == 2) {
    is_signed_ ? widen<int16_t>(bytes.value(), run_) : widen<uint16_t>(bytes.value(), run_);
  } else if (element_bytes_ == 4) {
    is_signed_ ? widen<int32_t>(bytes.value(), run_) : widen<uint32_t>(bytes.value(), run_);
  } else {
    widen<int64_t>(bytes.value(), run_);
  }
  done_ += wanted;
  GEMMINE_CHECK(done_ <= count_);
  return std::span<const int64_t>(run_);
}

}  // namespace gemmine::pool
