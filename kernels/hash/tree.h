// Parts of BLAKE3's chunk tree, for callers with threads or trees of their own.
#pragma once

#include <span>

#include "kernels/hash/blake3.h"

namespace gemmine::kernels {

// A node is an aligned power of
// two of chunks, or the shorter rest of one at the right edge. None of these is the root's.
void chunk_cvs(const Blake3Mode& mode, const ChunkSource& source, ChunkRange range,
               std::span<Digest> out);
// The tiles of rows 16·first_down … of a tile order, into their places among `cvs`, which has room
// for all chunks of the source. Reads strips of rows as they lie, the fastest order for big ones.
void tile_cvs(const Blake3Mode& mode, const ChunkSource& source, size_t first_down,
              size_t last_down, std::span<Digest> cvs);
Digest node_cv(const Blake3Mode& mode, const ChunkSource& source, ChunkRange node);
// The node of at most 256 chunks whose bytes these are, which begins at chunk `first` of its
// string.
Digest subtree_cv(const Blake3Mode& mode, ByteView bytes, uint64_t first);
// One level up, in place: pairs become parents, an odd last one stays. Returns the new count.
size_t parent_cvs(const Blake3Mode& mode, std::span<Digest> cvs);
Digest parent_cv(const Blake3Mode& mode, const Digest& left, const Digest& right);
Digest parent_root(const Blake3Mode& mode, const Digest& left, const Digest& right);
// The root above at least two nodes of one size, in order; the last may be shorter. Destroys cvs.
Digest root_from_cvs(const Blake3Mode& mode, std::span<Digest> cvs);
// A lone chunk of at most 1024 bytes: as a leaf with its index, or as the whole tree.
Digest leaf_cv(const Blake3Mode& mode, ByteView chunk, uint64_t index);
Digest leaf_root(const Blake3Mode& mode, ByteView chunk);

}  // namespace gemmine::kernels
