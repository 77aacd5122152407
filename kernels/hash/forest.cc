#include "kernels/hash/forest.h"

#include <algorithm>
#include <utility>

#include "kernels/hash/lanes.h"
#include "kernels/hash/tree.h"

namespace gemmine::kernels {

using blake3_impl::Batch;
using blake3_impl::LaneQueue;
using blake3_impl::raw;

// The last chunk of a string where it is less than a chunk, or the only one and so the root.
struct Blake3Forest::Short {
  size_t tree;
  uint64_t index;
  uint32_t bytes;
  bool is_root;
  Digest* out;

  bool same_kind(const Short& other) const {
    return bytes == other.bytes && is_root == other.is_root;
  }
};

Blake3Forest::Blake3Forest(std::vector<ChunkSource> sources, std::vector<bool> in_parts)
    : sources_(std::move(sources)), in_parts_(std::move(in_parts)) {
  GEMMINE_CHECK(in_parts_.empty() || in_parts_.size() == sources_.size());
  in_parts_.resize(sources_.size());
  size_t leaves = 0;
  for (const ChunkSource& source : sources_) {
    offsets_.push_back(leaves);
    leaves += source.chunks();
  }
  cvs_.resize(leaves);
}

void Blake3Forest::hash_strip(size_t tree, size_t first, size_t last) {
  GEMMINE_CHECK(tree < sources_.size() && sources_[tree].tiled() && first <= last);
  if (sources_[tree].chunks() > 1) tile_cvs(mode_, sources_[tree], first, last, cvs(tree));
}

void Blake3Forest::hash_chunks(size_t tree, ChunkRange range) {
  GEMMINE_CHECK(tree < sources_.size());
  const ChunkSource& source = sources_[tree];
  GEMMINE_CHECK(in_parts_[tree] && range.first <= range.last && range.last <= source.chunks());
  chunk_cvs(mode_, source, range, cvs(tree).subspan(range.first, range.last - range.first));
}

// Leaves of the plain strings; what is left over is returned.
std::vector<Blake3Forest::Short> Blake3Forest::hash_whole_chunks(std::span<Digest> out) {
  std::vector<Short> shorts;
  LaneQueue leaves(blake3_impl::leaf_batch(mode_));
  for (size_t tree = 0; tree < sources_.size(); ++tree) {
    const ChunkSource& source = sources_[tree];
    const std::span<Digest> to = cvs(tree);
    if (source.chunks() == 1) {
      const auto bytes = static_cast<uint32_t>(source.total_bytes());
      shorts.push_back({tree, 0, bytes, true, &out[tree]});
      continue;
    }
    if (source.tiled() || in_parts_[tree]) continue;
    const uint64_t whole = source.total_bytes() / kChunkBytes;
    for (uint64_t index = 0; index < whole; ++index) {
      const ChunkSource::Blocks blocks = source.blocks(index, leaves.scratch());
      leaves.push({blocks.at, blocks.stride, index, raw(to[index])});
    }
    if (whole == to.size()) continue;
    const auto rest = static_cast<uint32_t>(source.total_bytes() % kChunkBytes);
    shorts.push_back({tree, whole, rest, false, &to[whole]});
  }
  leaves.flush();
  return shorts;
}

void Blake3Forest::hash_short(std::vector<Short> shorts) {
  std::sort(shorts.begin(), shorts.end(), [](const Short& a, const Short& b) {
    return std::pair(a.bytes, a.is_root) < std::pair(b.bytes, b.is_root);
  });
  for (size_t i = 0; i < shorts.size();) {
    const Short& kind = shorts[i];
    Batch batch = blake3_impl::leaf_batch(mode_);
    batch.blocks = std::max<size_t>(1, (kind.bytes + 63) / 64);
    batch.last_bytes = static_cast<uint32_t>(kind.bytes - (batch.blocks - 1) * 64);
    if (kind.is_root) batch.last_flags |= blake3_impl::kRoot;
    LaneQueue queue(batch);
    for (; i < shorts.size() && shorts[i].same_kind(kind); ++i) {
      const auto room = queue.scratch();
      sources_[shorts[i].tree].copy({shorts[i].index, shorts[i].index + 1}, room.first(kind.bytes));
      std::fill(room.begin() + kind.bytes, room.begin() + static_cast<ptrdiff_t>(batch.blocks * 64),
                uint8_t{0});
      queue.push({room.data(), 64, shorts[i].index, raw(*shorts[i].out)});
    }
    queue.flush();
  }
}

// All trees go up a level at a time together, and wait for each other at their last two nodes.
void Blake3Forest::hash_parents(std::span<Digest> out) {
  std::vector<std::span<Digest>> trees(sources_.size());
  for (size_t tree = 0; tree < trees.size(); ++tree)
    trees[tree] = cvs(tree);
  for (bool more = true; more;) {
    more = false;
    LaneQueue parents(blake3_impl::parent_batch(mode_));
    std::vector<std::span<Digest>> above = trees;
    for (size_t tree = 0; tree < trees.size(); ++tree) {
      if (trees[tree].size() <= 2) continue;
      above[tree] = trees[tree].first(blake3_impl::push_parents(trees[tree], parents));
      more = more || above[tree].size() > 2;
    }
    parents.flush();
    for (size_t tree = 0; tree < trees.size(); ++tree) {
      if (above[tree].size() < trees[tree].size()) blake3_impl::carry_odd(trees[tree]);
    }
    trees = std::move(above);
  }
  Batch root = blake3_impl::parent_batch(mode_);
  root.last_flags |= blake3_impl::kRoot;
  LaneQueue roots(root);
  for (size_t tree = 0; tree < trees.size(); ++tree) {
    if (trees[tree].size() == 2) roots.push({raw(trees[tree][0]), 0, 0, raw(out[tree])});
  }
  roots.flush();
}

void Blake3Forest::roots(std::span<Digest> out) {
  GEMMINE_CHECK(out.size() == sources_.size());
  hash_short(hash_whole_chunks(out));
  hash_parents(out);
}

}  // namespace gemmine::kernels
