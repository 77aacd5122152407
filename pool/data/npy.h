// Arrays of numbers in NumPy's .npy format, read in runs.
#pragma once

#include <span>
#include <vector>

#include "pool/data/byte_stream.h"

namespace gemmine::pool {

inline constexpr size_t kNpyHeaderBytesMax = 64 << 10;
inline constexpr size_t kNpyDimensionsMax = 8;
inline constexpr std::string_view kNpyMagic = "\x93NUMPY";

class NpyReader {
 public:
  // `stream` stands behind the magic. Reads the header, no more. Element types: booleans, whole
  // numbers of 1, 2, 4 or 8 bytes, floats of 2, 4 or 8, of either byte order. Errors: those of the
  // stream; malformed; unsupported (another element type); invalid (a shape of 0 or more than
  // bytes_max bytes, or of more than the file can hold).
  static Result<NpyReader> open(ByteStream stream, uint64_t bytes_max);

  const std::vector<uint64_t>& shape() const { return shape_; }  // at most kNpyDimensionsMax
  uint64_t count() const { return count_; }                      // of elements
  bool is_bytes() const { return element_bytes_ == 1 && kind_ != 'i'; }
  bool is_real() const { return kind_ == 'f'; }
  // Elements come with the first side running fastest, not the last.
  bool is_fortran() const { return fortran_ && shape_.size() > 1; }
  const std::string& name() const { return stream_.name(); }

  // The next run of elements as they lie in the file, valid until the next call; empty at the end.
  // Unsigned 64-bit elements beyond 2⁶³ come out negative; not for floats. Errors: those of the
  // stream; malformed (cut, trailing bytes).
  Result<std::span<const int64_t>> next();
  // The same as doubles, rounded to the nearest.
  Result<std::span<const double>> next_reals();

 private:
  explicit NpyReader(ByteStream stream) : stream_(std::move(stream)) {}
  Status parse_header(std::string_view text, uint64_t bytes_max);
  Status take_type(std::string_view descr);
  Status take_shape(std::string_view text, uint64_t bytes_max);
  Result<Bytes> next_bytes();  // of a run, in this machine's order
  Error wrong(Errc code, const std::string& why) const { return {code, name() + ": " + why}; }

  ByteStream stream_;
  std::vector<uint64_t> shape_;
  uint64_t count_ = 1;
  uint64_t done_ = 0;
  uint32_t element_bytes_ = 1;
  char kind_ = 'u';  // NumPy's: b, u, i, f
  bool swapped_ = false;
  bool fortran_ = false;
  std::vector<int64_t> run_;
  std::vector<double> reals_;
};

}  // namespace gemmine::pool
