#include "kernels/hash/tree.h"

#include <algorithm>
#include <bit>
#include <system_error>
#include <thread>
#include <vector>

#include "kernels/hash/compress.h"
#include "kernels/hash/lanes.h"
#include "kernels/hash/node.h"

namespace gemmine::kernels {
namespace {

using blake3_impl::group_cv;
using blake3_impl::kGroupChunks;
using blake3_impl::kLanesMax;
using blake3_impl::LaneQueue;
using blake3_impl::leaf_node;
using blake3_impl::parent_node;
using blake3_impl::raw;

static_assert(sizeof(Digest) == 32, "an array of digests is an array of chaining values");
static_assert(kTileRows * kTileCols == kChunkBytes);

void chunk_cvs_at(const Blake3Mode& mode, const ChunkSource& source, ChunkRange range,
                  uint64_t base, std::span<Digest> out) {
  GEMMINE_CHECK(range.first <= range.last && range.last <= source.chunks());
  GEMMINE_CHECK(out.size() == range.last - range.first);
  uint64_t whole_last = std::min<uint64_t>(range.last, source.total_bytes() / kChunkBytes);
  whole_last = std::max(whole_last, range.first);
  LaneQueue leaves(blake3_impl::leaf_batch(mode));
  if (source.plain()) leaves.fetch_ahead(kLanesMax * kChunkBytes);
  for (uint64_t index = range.first; index < whole_last; ++index) {
    const ChunkSource::Blocks blocks = source.blocks(index, leaves.scratch());
    leaves.push({blocks.at, blocks.stride, base + index, raw(out[index - range.first])});
  }
  leaves.flush();
  if (whole_last == range.last) return;
  std::array<uint8_t, kChunkBytes> scratch;
  const size_t rest = source.total_bytes() % kChunkBytes;
  source.copy({whole_last, whole_last + 1}, std::span(scratch).first(rest));
  out.back() = leaf_cv(mode, ByteView(scratch).first(rest), base + whole_last);
}

}  // namespace

namespace blake3_impl {

Digest Node::chaining_value() const {
  uint32_t out[16];
  compress(cv, block, block_bytes, counter, flags, out);
  Digest digest;
  std::memcpy(digest.bytes.data(), out, 32);
  return digest;
}

std::array<uint8_t, 64> Node::root_block(uint64_t index) const {
  uint32_t out[16];
  // The root's counter counts blocks of output, whatever its chunk index was.
  compress(cv, block, block_bytes, index, flags | kRoot, out);
  return std::bit_cast<std::array<uint8_t, 64>>(out);
}

Digest Node::root() const {
  const std::array<uint8_t, 64> out = root_block(0);
  Digest digest;
  std::memcpy(digest.bytes.data(), out.data(), 32);
  return digest;
}

Node leaf_node(const Blake3Mode& mode, ByteView chunk, uint64_t index) {
  GEMMINE_CHECK(chunk.size() <= kChunkBytes);
  uint32_t cv[16];
  std::memcpy(cv, mode.key.data(), 32);
  uint32_t start = kChunkStart;
  while (chunk.size() > 64) {
    compress(cv, chunk.data(), 64, index, mode.flags | start, cv);
    start = 0;
    chunk = chunk.subspan(64);
  }
  Node node{};
  std::memcpy(node.cv, cv, 32);
  if (!chunk.empty()) std::memcpy(node.block, chunk.data(), chunk.size());
  node.block_bytes = static_cast<uint32_t>(chunk.size());
  node.counter = index;
  node.flags = mode.flags | start | kChunkEnd;
  return node;
}

Node parent_node(const Blake3Mode& mode, const Digest& left, const Digest& right) {
  Node node{};
  std::memcpy(node.cv, mode.key.data(), 32);
  std::memcpy(node.block, left.bytes.data(), 32);
  std::memcpy(node.block + 32, right.bytes.data(), 32);
  node.block_bytes = 64;
  node.flags = mode.flags | kParent;
  return node;
}

Digest group_cv(const Blake3Mode& mode, const ChunkSource& source, ChunkRange node, uint64_t base) {
  GEMMINE_CHECK(node.first < node.last && node.last - node.first <= kGroupChunks);
  std::array<Digest, kGroupChunks> cvs;
  size_t count = node.last - node.first;
  chunk_cvs_at(mode, source, node, base, std::span(cvs).first(count));
  while (count > 1)
    count = parent_cvs(mode, std::span(cvs).first(count));
  return cvs[0];
}

void group_cvs(const Blake3Mode& mode, const ChunkSource& source, size_t group_chunks, int threads,
               std::span<Digest> out) {
  const uint64_t chunks = source.chunks();
  GEMMINE_CHECK(out.size() == (chunks + group_chunks - 1) / group_chunks);
  const size_t parts = (chunks + kGroupChunks - 1) / kGroupChunks;
  const auto run_part = [&](size_t part) {
    std::array<Digest, kGroupChunks> cvs;
    const uint64_t first = part * kGroupChunks;
    size_t count = std::min(chunks - first, kGroupChunks);
    chunk_cvs_at(mode, source, {first, first + count}, 0, std::span(cvs).first(count));
    for (size_t size = group_chunks; size > 1; size /= 2) {
      count = parent_cvs(mode, std::span(cvs).first(count));
    }
    std::copy_n(cvs.begin(), count, &out[first / group_chunks]);
  };
  const size_t workers = std::clamp<size_t>(std::max(threads, 1), 1, parts);
  const auto run = [&](size_t worker) {
    for (size_t part = parts * worker / workers; part < parts * (worker + 1) / workers; ++part) {
      run_part(part);
    }
  };
  std::vector<std::jthread> running;
  running.reserve(workers - 1);
  for (size_t worker = 1; worker < workers; ++worker) {
    try {
      running.emplace_back(run, worker);
    } catch (const std::system_error&) {  // boundary: std::jthread throws
      run(worker);  // No thread to be had: the answer is the same, only later.
    }
  }
  run(0);
}

}  // namespace blake3_impl

Digest leaf_cv(const Blake3Mode& mode, ByteView chunk, uint64_t index) {
  return leaf_node(mode, chunk, index).chaining_value();
}

Digest leaf_root(const Blake3Mode& mode, ByteView chunk) {
  return leaf_node(mode, chunk, 0).root();
}

Digest subtree_cv(const Blake3Mode& mode, ByteView bytes, uint64_t first) {
  const ChunkSource source = ChunkSource::of_bytes(bytes);
  GEMMINE_CHECK(source.chunks() <= kGroupChunks);
  return group_cv(mode, source, {0, source.chunks()}, first);
}

Digest parent_cv(const Blake3Mode& mode, const Digest& left, const Digest& right) {
  return parent_node(mode, left, right).chaining_value();
}

Digest parent_root(const Blake3Mode& mode, const Digest& left, const Digest& right) {
  return parent_node(mode, left, right).root();
}

size_t parent_cvs(const Blake3Mode& mode, std::span<Digest> cvs) {
  LaneQueue parents(blake3_impl::parent_batch(mode));
  const size_t count = blake3_impl::push_parents(cvs, parents);
  parents.flush();
  blake3_impl::carry_odd(cvs);
  return count;
}

Digest root_from_cvs(const Blake3Mode& mode, std::span<Digest> cvs) {
  GEMMINE_CHECK(cvs.size() >= 2);
  size_t count = cvs.size();
  while (count > 2)
    count = parent_cvs(mode, cvs.first(count));
  return parent_root(mode, cvs[0], cvs[1]);
}

void chunk_cvs(const Blake3Mode& mode, const ChunkSource& source, ChunkRange range,
               std::span<Digest> out) {
  chunk_cvs_at(mode, source, range, 0, out);
}

void tile_cvs(const Blake3Mode& mode, const ChunkSource& source, size_t first_down,
              size_t last_down, std::span<Digest> cvs) {
  GEMMINE_CHECK(source.tiled() && cvs.size() == source.chunks());
  GEMMINE_CHECK(first_down <= last_down && last_down <= source.tiles_down());
  LaneQueue leaves(blake3_impl::leaf_batch(mode));
  // More than the nearer caches hold cannot have been written just now.
  const bool cold = (last_down - first_down) * source.tiles_across() * kChunkBytes > (2U << 20);
  for (size_t down = first_down; down < last_down; ++down) {
    for (size_t across = 0; across < source.tiles_across(); ++across) {
      const ChunkSource::Blocks blocks = source.tile(down, across, leaves.scratch());
      if (cold) leaves.fetch_ahead(4 * blocks.stride);
      const uint64_t index = source.tile_index(down, across);
      leaves.push({blocks.at, blocks.stride, index, raw(cvs[index])});
    }
  }
  leaves.flush();
}

Digest node_cv(const Blake3Mode& mode, const ChunkSource& source, ChunkRange node) {
  GEMMINE_CHECK(node.first < node.last && node.last <= source.chunks());
  const uint64_t count = node.last - node.first;
  if (count <= kGroupChunks) return group_cv(mode, source, node, 0);
  // At most 64 deep: the left part is the largest power of two below the count.
  const uint64_t middle = node.first + std::bit_ceil(count) / 2;
  return parent_cv(mode, node_cv(mode, source, {node.first, middle}),
                   node_cv(mode, source, {middle, node.last}));
}

Digest blake3_source(const Blake3Mode& mode, const ChunkSource& source, int threads) {
  const uint64_t chunks = source.chunks();
  if (chunks == 1) {
    std::array<uint8_t, kChunkBytes> chunk;
    source.copy({0, 1}, std::span(chunk).first(source.total_bytes()));
    return leaf_root(mode, ByteView(chunk).first(source.total_bytes()));
  }
  if (chunks <= kGroupChunks) {
    std::array<Digest, kGroupChunks> cvs;
    chunk_cvs(mode, source, {0, chunks}, std::span(cvs).first(chunks));
    return root_from_cvs(mode, std::span(cvs).first(chunks));
  }
  if (source.tiled() && threads <= 1) {  // Tiles are read best a strip of rows at a time.
    std::vector<Digest> cvs(chunks);
    tile_cvs(mode, source, 0, source.tiles_down(), cvs);
    return root_from_cvs(mode, cvs);
  }
  std::vector<Digest> cvs((chunks + kGroupChunks - 1) / kGroupChunks);
  blake3_impl::group_cvs(mode, source, kGroupChunks, threads, cvs);
  return root_from_cvs(mode, cvs);
}

}  // namespace gemmine::kernels
