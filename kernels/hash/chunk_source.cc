#include "kernels/hash/chunk_source.h"

#include <algorithm>
#include <array>

#include "kernels/base/check.h"

namespace gemmine::kernels {

ChunkSource ChunkSource::of_bytes(ByteView bytes) {
  ChunkSource out;
  out.data_ = bytes.data();
  out.total_bytes_ = bytes.size();
  return out;
}

ChunkSource ChunkSource::of_matrix(Order order, const void* data, size_t rows, size_t cols,
                                   size_t ld) {
  GEMMINE_CHECK(ld >= cols);
  ChunkSource out;
  out.data_ = static_cast<const uint8_t*>(data);
  out.order_ = order;
  out.rows_ = rows;
  out.cols_ = cols;
  out.ld_ = ld;
  return out;
}

ChunkSource ChunkSource::of_tiles(const int8_t* data, size_t rows, size_t cols, size_t ld) {
  ChunkSource out = of_matrix(Order::tiles, data, rows, cols, ld);
  out.total_bytes_ = tile_order_bytes(rows, cols);
  out.tiles_down_ = (rows + kTileRows - 1) / kTileRows;
  return out;
}

ChunkSource ChunkSource::of_panels(const float* data, size_t rows, size_t cols, size_t ld) {
  ChunkSource out = of_matrix(Order::panels, data, rows, cols, ld);
  out.total_bytes_ = panel_order_bytes(rows, cols);
  return out;
}

void ChunkSource::copy_panel_rows(uint64_t offset, std::span<uint8_t> out) const {
  GEMMINE_CHECK(offset % kPanelRowBytes == 0 && out.size() % kPanelRowBytes == 0);
  size_t row = offset / kPanelRowBytes % rows_;
  size_t col = offset / kPanelRowBytes / rows_ * kTileCols;
  for (size_t done = 0; done < out.size(); done += kPanelRowBytes) {
    GEMMINE_CHECK(col < cols_);
    const size_t real = std::min(kTileCols, cols_ - col) * sizeof(float);
    std::copy_n(data_ + (row * ld_ + col) * sizeof(float), real, &out[done]);
    std::fill_n(&out[done] + real, kPanelRowBytes - real, uint8_t{0});
    if (++row < rows_) continue;
    row = 0;
    col += kTileCols;
  }
}

ChunkSource::Blocks ChunkSource::blocks(uint64_t index,
                                        std::span<uint8_t, kChunkBytes> scratch) const {
  GEMMINE_CHECK(index < total_bytes_ / kChunkBytes);
  if (plain()) return {data_ + index * kChunkBytes, 64};
  if (order_ == Order::panels) {
    copy_panel_rows(index * kChunkBytes, scratch);
    return {scratch.data(), 64};
  }
  return tile(index % tiles_down_, index / tiles_down_, scratch);
}

ChunkSource::Blocks ChunkSource::tile(size_t down, size_t across,
                                      std::span<uint8_t, kChunkBytes> scratch) const {
  const size_t row = down * kTileRows;
  const size_t col = across * kTileCols;
  GEMMINE_CHECK(tiled() && row < rows_ && col < cols_);
  const uint8_t* tile = data_ + row * ld_ + col;
  const size_t rows = std::min(kTileRows, rows_ - row);
  const size_t cols = std::min(kTileCols, cols_ - col);
  if (rows == kTileRows && cols == kTileCols) return {tile, ld_};
  std::fill(scratch.begin(), scratch.end(), uint8_t{0});
  for (size_t r = 0; r < rows; ++r)
    std::copy_n(tile + r * ld_, cols, &scratch[r * kTileCols]);
  return {scratch.data(), kTileCols};
}

void ChunkSource::copy(ChunkRange range, std::span<uint8_t> out) const {
  GEMMINE_CHECK(range.first <= range.last && range.last <= chunks());
  const uint64_t begin = std::min(range.first * kChunkBytes, total_bytes_);
  const uint64_t end = std::min(range.last * kChunkBytes, total_bytes_);
  GEMMINE_CHECK(out.size() == end - begin);
  if (plain()) {
    std::copy_n(data_ + begin, out.size(), out.begin());
    return;
  }
  if (order_ == Order::panels) return copy_panel_rows(begin, out);
  std::array<uint8_t, kChunkBytes> scratch;
  for (uint64_t index = begin / kChunkBytes; index < end / kChunkBytes; ++index) {
    const Blocks tile = blocks(index, scratch);
    uint8_t* to = &out[index * kChunkBytes - begin];
    for (size_t r = 0; r < kTileRows; ++r) {
      std::copy_n(tile.at + r * tile.stride, kTileCols, to + r * kTileCols);
    }
  }
}

uint64_t tile_order_bytes(size_t rows, size_t cols) {
  const uint64_t tiles_down = (rows + kTileRows - 1) / kTileRows;
  const uint64_t panels = (cols + kTileCols - 1) / kTileCols;
  return tiles_down * panels * kChunkBytes;
}

uint64_t panel_order_bytes(size_t rows, size_t cols) {
  return uint64_t{rows} * ((cols + kTileCols - 1) / kTileCols) * kPanelRowBytes;
}

Bytes to_panel_order(const float* data, size_t rows, size_t cols, size_t ld) {
  const ChunkSource source = ChunkSource::of_panels(data, rows, cols, ld);
  Bytes out(source.total_bytes());
  source.copy({0, source.chunks()}, out);
  return out;
}

Bytes to_tile_order(const int8_t* data, size_t rows, size_t cols, size_t ld) {
  const ChunkSource source = ChunkSource::of_tiles(data, rows, cols, ld);
  Bytes out(source.total_bytes());
  source.copy({0, source.chunks()}, out);
  return out;
}

}  // namespace gemmine::kernels
