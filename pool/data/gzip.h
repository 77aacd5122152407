// gzip (RFC 1952) taken apart: members one after the other, from pieces of any size.
#pragma once

#include <memory>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

inline constexpr uint64_t kDeflateRatioMax = 1032;  // a byte packs at most so many

// Whether bytes open with a whole member header: magic, deflate, no reserved flags, a known effort
// and system. Ten bytes decide; text and tokens that only share the magic do not pass.
bool opens_gzip(ByteView bytes);

class Gunzip {
 public:
  // Errors: out_of_memory.
  static Result<Gunzip> start();
  Gunzip(Gunzip&&) noexcept;
  Gunzip& operator=(Gunzip&&) noexcept;
  ~Gunzip();

  // Where the next packed bytes are; they must live until wants_input(). Only when it wants some.
  void feed(ByteView packed);
  bool wants_input() const;
  // Unpacks into `out` until it is full or nothing more comes out of what was fed; returns how many
  // bytes came out, 0 only when input is wanted.
  // Errors: malformed, the detail to go behind "NAME: ".
  Result<size_t> unpack(std::span<uint8_t> out);
  // No input will come. Errors: malformed (cut short).
  Status finish() const;

 private:
  struct Stream;
  explicit Gunzip(std::unique_ptr<Stream> stream);
  std::unique_ptr<Stream> stream_;  // zlib keeps its address
};

}  // namespace gemmine::pool
