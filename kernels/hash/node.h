// Private to BLAKE3: a node of the tree just before its last compression.
#pragma once

#include "kernels/hash/blake3.h"

namespace gemmine::kernels::blake3_impl {

// Chunks hashed on the stack before they become one chaining value: a bigger group wastes fewer
// lanes near its top, 256 leaves about 1 % of that waste.
inline constexpr uint64_t kGroupChunks = 256;

// What a chunk or parent becomes depends on whether it is the root, which is known only later.
struct Node {
  uint32_t cv[8];
  uint8_t block[64];
  uint32_t block_bytes;
  uint64_t counter;
  uint32_t flags;

  Digest chaining_value() const;
  Digest root() const;
  // 64-byte block `index` of the extended output.
  std::array<uint8_t, 64> root_block(uint64_t index) const;
};

Node leaf_node(const Blake3Mode& mode, ByteView chunk, uint64_t index);
Node parent_node(const Blake3Mode& mode, const Digest& left, const Digest& right);

// The node of at most kGroupChunks chunks of `source`, whose chunk 0 is chunk `base` of the tree.
Digest group_cv(const Blake3Mode& mode, const ChunkSource& source, ChunkRange node, uint64_t base);

// Every run of group_chunks (a power of two, at most kGroupChunks) becomes one chaining value, the
// last maybe of fewer chunks. Shared among up to `threads` threads.
void group_cvs(const Blake3Mode& mode, const ChunkSource& source, size_t group_chunks, int threads,
               std::span<Digest> out);

}  // namespace gemmine::kernels::blake3_impl
