// BLAKE3: hashing of bytes and of matrices in tile order, and the parts its chunk tree is made of.
// Spec: github.com/BLAKE3-team/BLAKE3-specs. All CPU paths and thread counts give the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"

namespace gemmine::kernels {

inline constexpr size_t kChunkBytes = 1024;
inline constexpr size_t kTileRows = 16;  // A tile is 16 rows x 64 columns of int8: one chunk.
inline constexpr size_t kTileCols = 64;  // A row of a tile is one 64-byte block.

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

// Chunk indices [first, last).
struct ChunkRange {
  uint64_t first;
  uint64_t last;
};

// A byte string seen as 1024-byte chunks; only looks at memory that must outlive it.
class ChunkSource {
 public:
  static ChunkSource of_bytes(ByteView bytes);
  // The tile order of a rows x cols matrix, row stride `ld` >= cols bytes: rows padded with zeros
  // to a multiple of 16 and columns to one of 64; for each panel of 64 columns, for each row, the
  // 64 bytes of that row in that panel. Chunk i is the tile of panel i / t, rows 16·(i mod t)..,
  // t = padded rows / 16. The padded matrix is never built.
  static ChunkSource of_tiles(const int8_t* data, size_t rows, size_t cols, size_t ld);

  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t chunks() const;  // At least 1: the empty string is one empty chunk.
  // The bytes of these chunks in order. out.size() is exactly their number of bytes.
  void copy(ChunkRange range, std::span<uint8_t> out) const;

  // The 64-byte blocks of chunk `index`: block b at `at + b * stride`. Edge tiles are built in
  // `scratch`. Only whole chunks.
  struct Blocks {
    const uint8_t* at;
    size_t stride;
  };
  Blocks blocks(uint64_t index, std::span<uint8_t, kChunkBytes> scratch) const;

  // Of a tile order: its tiles side by side in two directions. Chunk `tile_index` is their tile.
  bool tiled() const { return tiled_; }
  size_t tiles_down() const { return tiles_down_; }
  size_t tiles_across() const { return (cols_ + kTileCols - 1) / kTileCols; }
  uint64_t tile_index(size_t down, size_t across) const { return across * tiles_down_ + down; }
  Blocks tile(size_t down, size_t across, std::span<uint8_t, kChunkBytes> scratch) const;

 private:
  const uint8_t* data_ = nullptr;
  uint64_t total_bytes_ = 0;
  bool tiled_ = false;
  size_t rows_ = 0;
  size_t cols_ = 0;
  size_t ld_ = 0;
  size_t tiles_down_ = 0;
};

// The hash of a source, on up to `threads` threads.
Digest blake3_source(const Blake3Mode& mode, const ChunkSource& source, int threads = 1);
Digest blake3_parallel(const Blake3Mode& mode, ByteView bytes, int threads);
// The keyed hash of the tile order of an int8 matrix; see ChunkSource::of_tiles.
Digest blake3_tiles(const Digest& key, const int8_t* data, size_t rows, size_t cols, size_t ld,
                    int threads = 1);

// The tile order as bytes of its own, and back (padding dropped; bytes has tile_order_bytes).
uint64_t tile_order_bytes(size_t rows, size_t cols);
Bytes to_tile_order(const int8_t* data, size_t rows, size_t cols, size_t ld);
void from_tile_order(ByteView bytes, int8_t* data, size_t rows, size_t cols, size_t ld);

// Parts of the tree, for callers with threads or trees of their own. A node is an aligned power of
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

// Openings (PROTOCOL 4.5): the tree is a Merkle tree over chunks. Selected are sorted, disjoint,
// nonempty ranges, at least one; ranges may touch. Siblings are, in pre-order, the chaining values
// of the maximal nodes that hold no selected chunk. invalid_argument for other ranges or a string
// of more than kTreeBytesMax, in each function below.
inline constexpr uint64_t kTreeBytesMax = uint64_t{1} << 42;  // 2^32 chunks

// How many bytes the selected chunks have together, and how many siblings go with them.
struct OpeningSize {
  uint64_t bytes;
  uint64_t siblings;
};
Result<OpeningSize> opening_size(uint64_t total_bytes, std::span<const ChunkRange> selected);

// The selected chunks' bytes, one after another.
Result<Bytes> opened_bytes(const ChunkSource& source, std::span<const ChunkRange> selected);

// `bytes` are the selected chunks of the string of `total_bytes` whose hash is `root`. Pure; reads
// nothing outside its arguments; time is linear in the bytes and the siblings. BLAKE3 commits to
// the length in its last chunk only: unless that one is selected, the caller must already know that
// total_bytes is right. Errors: malformed when bytes or siblings are too few or too many, invalid
// when another root comes out.
Status verify_chunks(const Digest& root, const Blake3Mode& mode, uint64_t total_bytes,
                     std::span<const ChunkRange> selected, ByteView bytes,
                     std::span<const Digest> siblings);

// The siblings, from the bytes: hashes everything not selected. For one opening; else ChunkTree.
Result<std::vector<Digest>> open_chunks(const Blake3Mode& mode, const ChunkSource& source,
                                        std::span<const ChunkRange> selected);

// The chaining values of a string, from groups of chunks upwards, made once and opened often.
// Takes 64 bytes a group.
class ChunkTree {
 public:
  // group_chunks: 1, 2, 4, ..., 256. 64 chunks are the 64 KiB groups of verified streaming.
  static ChunkTree build(const Blake3Mode& mode, const ChunkSource& source,
                         size_t group_chunks = 64, int threads = 1);

  // From the chaining values of the groups of 64 chunks of a string of more than one group, as
  // groups() gives them. groups.size() is the number of groups.
  static ChunkTree from_groups(const Blake3Mode& mode, uint64_t total_bytes,
                               std::vector<Digest> groups);

  const Digest& root() const { return root_; }
  uint64_t total_bytes() const { return total_bytes_; }
  const std::vector<Digest>& groups() const { return levels_.front(); }
  // As open_chunks. Nodes inside a group are hashed again from `source`, the one the tree was built
  // of; without it only ranges of whole groups open (else undecided).
  Result<std::vector<Digest>> open(std::span<const ChunkRange> selected,
                                   const ChunkSource* source = nullptr) const;

 private:
  const Digest* find(ChunkRange node) const;
  Blake3Mode mode_{};
  Digest root_;
  uint64_t total_bytes_ = 0;
  size_t group_chunks_ = 1;
  std::vector<std::vector<Digest>> levels_;  // [k][i]: the node of group_chunks·2^k chunks at i
};

}  // namespace gemmine::kernels
