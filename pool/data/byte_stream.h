// A file's bytes in pieces, unpacked on the way when they are gzip.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

// After an error, or the empty piece that is the end, a stream gives nothing more.
class ByteStream {
 public:
  // Errors: io. bytes_max bounds what comes out, not what the file holds.
  static Result<ByteStream> open(const std::string& path, uint64_t bytes_max);
  // Over bytes that outlive it.
  static ByteStream over(ByteView bytes, std::string name, uint64_t bytes_max);

  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  // The next piece, valid until the next call; empty at the end. Errors: io; malformed (damaged or
  // cut gzip); invalid (more than bytes_max).
  Result<ByteView> next();
  // The next `count` bytes; fewer only at the end. For headers.
  Result<Bytes> read(size_t count);

  const std::string& name() const { return name_; }
  uint64_t offset() const { return offset_; }  // of what comes next, in the unpacked bytes

 private:
  struct Source;
  explicit ByteStream(std::string name);
  Result<ByteView> refill();

  std::string name_;
  std::unique_ptr<Source> source_;
  uint64_t bytes_left_ = 0;
  uint64_t offset_ = 0;
  ByteView held_;  // came with a piece that read() used only the head of
};

// A file's bytes, unpacked when they are gzip. Errors: those of ByteStream.
Result<Bytes> read_maybe_gzip(const std::string& path, uint64_t bytes_max);

}  // namespace gemmine::pool
