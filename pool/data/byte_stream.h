// A file's bytes in pieces, unpacked on the way when they are gzip.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

// A file is gzip when its name ends in .gz (in either case), or its first ten bytes are a whole
// gzip header; the two bytes 1f 8b alone are data like any other. gzip files may have several
// members, one after the other, and zeros behind the last one.
//
// Memory stays at two pieces of 1 MiB. After an error, or the empty piece that is the end, a stream
// gives nothing more. Messages name the file, made printable.
class ByteStream {
 public:
  // bytes_max bounds what comes out. Errors: io (missing, unreadable, a folder, a pipe; opening
  // never waits); invalid (a plain file of more than bytes_max bytes); malformed (a name in .gz,
  // and no gzip).
  static Result<ByteStream> open(const std::string& path, uint64_t bytes_max);
  // Over bytes that outlive it; their first ten bytes decide whether they are gzip.
  static ByteStream over(ByteView bytes, std::string name, uint64_t bytes_max);

  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  // The next piece, valid until the next call; empty at the end. Errors: io; malformed (damaged or
  // cut gzip, or bytes after it that are no member); invalid (more than bytes_max).
  Result<ByteView> next();
  // The next `count` bytes; fewer only at the end. Memory grows with what there is, not with
  // `count`. For headers.
  Result<Bytes> read(size_t count);

  const std::string& name() const { return name_; }  // printable
  uint64_t offset() const { return offset_; }        // of what comes next, in the unpacked bytes
  // How many bytes come out at most, counted from the start: the size of a plain file; of a gzip
  // file as many as deflate can pack into its size. What claims to be longer is not there.
  uint64_t size_max() const { return size_max_; }
  // How many bytes are likely to come out, to take memory once: exact for a plain file.
  uint64_t size_hint() const { return size_hint_; }

 private:
  struct Source;
  ByteStream(std::string name, uint64_t bytes_max);
  Status look(bool named_gzip);  // at the first bytes
  Result<ByteView> refill();

  std::string name_;
  std::unique_ptr<Source> source_;
  uint64_t bytes_left_ = 0;
  uint64_t offset_ = 0;
  uint64_t size_max_ = 0;
  uint64_t size_hint_ = 0;
  ByteView held_;  // came with a piece that read() used only the head of
};

}  // namespace gemmine::pool
