// Arrays of bytes in IDX files (those of MNIST), read in runs.
#pragma once

#include <vector>

#include "pool/data/byte_stream.h"

namespace gemmine::pool {

// Magic 00 00 08 dd, dd big-endian u32 sides, then the product of them bytes.
class IdxReader {
 public:
  // Reads the header, no more. Errors: those of the stream; malformed (magic, element type, cut);
  // invalid (sides that give 0 or more than bytes_max bytes, or more than the file can hold).
  static Result<IdxReader> open(ByteStream stream, uint64_t bytes_max);

  const std::vector<uint64_t>& shape() const { return shape_; }  // 1 … 4 sides, none of them 0
  uint64_t count() const { return count_; }                      // of elements, their product
  const std::string& name() const { return stream_.name(); }

  // The next run of elements, valid until the next call; empty at the end.
  // Errors: those of the stream; malformed (cut, trailing bytes).
  Result<ByteView> next();

 private:
  explicit IdxReader(ByteStream stream) : stream_(std::move(stream)) {}
  Error wrong(Errc code, const std::string& why) const { return {code, name() + ": " + why}; }

  ByteStream stream_;
  std::vector<uint64_t> shape_;
  uint64_t count_ = 1;
  uint64_t done_ = 0;
};

}  // namespace gemmine::pool
