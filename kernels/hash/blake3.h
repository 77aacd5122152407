// BLAKE3 of bytes and of matrices in tile order. Spec: github.com/BLAKE3-team/BLAKE3-specs.
// All CPU paths and thread counts give the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/hash/chunk_source.h"

namespace gemmine::kernels {

// Which of BLAKE3's three functions: the key words and the flags every compression carries.
struct Blake3Mode {
  std::array<uint32_t, 8> key;
  uint32_t flags;
  static Blake3Mode plain();
  static Blake3Mode keyed(const Digest& key);
  static Blake3Mode derive_key(std::string_view context);
};

Digest blake3(ByteView bytes);
Digest blake3_keyed(const Digest& key, ByteView bytes);
Digest blake3_derive_key(std::string_view context, ByteView material);

// Bytes in pieces of any size. finish() may be called at any time, and updates may follow it.
class Blake3 {
 public:
  explicit Blake3(const Blake3Mode& mode = Blake3Mode::plain()) : mode_(mode) {}
  Blake3& update(ByteView bytes);
  Digest finish() const;
  // The extended output, bytes [seek, seek + out.size()); at 0 it begins with finish().
  void finish_xof(std::span<uint8_t> out, uint64_t seek = 0) const;

 private:
  void push_subtree(const Digest& cv, uint64_t chunks);
  Blake3Mode mode_;
  uint64_t chunks_ = 0;           // whole chunks already in the stack
  std::array<Digest, 54> stack_;  // chaining values of complete subtrees, largest first
  size_t stack_size_ = 0;
  std::array<uint8_t, kChunkBytes> pending_;  // A full chunk waits here: it may be the last.
  size_t pending_size_ = 0;
};

// The hash of a source, on up to `threads` threads; fewer where the system refuses them.
Digest blake3_source(const Blake3Mode& mode, const ChunkSource& source, int threads = 1);

}  // namespace gemmine::kernels
