// Byte strings, and int8 matrices in tile order, as the 1024-byte chunks that BLAKE3 hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/base/bytes.h"

namespace gemmine::kernels {

inline constexpr size_t kChunkBytes = 1024;
inline constexpr size_t kTileRows = 16;        // A tile is 16 rows x 64 columns of int8: one chunk.
inline constexpr size_t kTileCols = 64;        // A row of a tile is one 64-byte block.
inline constexpr size_t kPanelRowBytes = 256;  // 64 f32: a row of a panel, a quarter of a chunk.

// Chunks of a string: at least 1, since the empty string is one empty chunk.
constexpr uint64_t chunks_of(uint64_t total_bytes) {
  return total_bytes == 0 ? 1 : (total_bytes - 1) / kChunkBytes + 1;
}

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
  // The panel order of a rows x cols matrix of f32, row stride `ld` >= cols floats: columns padded
  // with +0 to a multiple of 64; for each panel of 64 columns, for each row, its 64 floats. A chunk
  // is 4 such rows. The padded matrix is never built.
  static ChunkSource of_panels(const float* data, size_t rows, size_t cols, size_t ld);

  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t chunks() const { return chunks_of(total_bytes_); }
  // The bytes of these chunks in order. out.size() is exactly their number of bytes.
  void copy(ChunkRange range, std::span<uint8_t> out) const;

  // The 64-byte blocks of chunk `index`: block b at `at + b * stride`. Edge tiles and the rows of
  // panels are put together in `scratch`. Only whole chunks.
  struct Blocks {
    const uint8_t* at;
    size_t stride;
  };
  Blocks blocks(uint64_t index, std::span<uint8_t, kChunkBytes> scratch) const;

  // For tiled sources: the grid of tiles, and the chunk index of one of them.
  bool tiled() const { return order_ == Order::tiles; }
  // Whether chunks are stretches of memory.
  bool plain() const { return order_ == Order::plain; }
  size_t tiles_down() const { return tiles_down_; }
  size_t tiles_across() const { return (cols_ + kTileCols - 1) / kTileCols; }
  uint64_t tile_index(size_t down, size_t across) const { return across * tiles_down_ + down; }
  Blocks tile(size_t down, size_t across, std::span<uint8_t, kChunkBytes> scratch) const;

 private:
  enum class Order : uint8_t { plain, tiles, panels };
  // Everything but the length in bytes, which is the order's.
  static ChunkSource of_matrix(Order order, const void* data, size_t rows, size_t cols, size_t ld);
  // Bytes [offset, offset + out.size()) of the panel order; both are whole rows of panels.
  void copy_panel_rows(uint64_t offset, std::span<uint8_t> out) const;

  const uint8_t* data_ = nullptr;
  uint64_t total_bytes_ = 0;
  Order order_ = Order::plain;
  size_t rows_ = 0;
  size_t cols_ = 0;
  size_t ld_ = 0;  // elements
  size_t tiles_down_ = 0;
};

// The tile order of a matrix (see of_tiles) as bytes of its own.
uint64_t tile_order_bytes(size_t rows, size_t cols);
uint64_t panel_order_bytes(size_t rows, size_t cols);
Bytes to_tile_order(const int8_t* data, size_t rows, size_t cols, size_t ld);
Bytes to_panel_order(const float* data, size_t rows, size_t cols, size_t ld);

}  // namespace gemmine::kernels
