#include "verifier/proof/claimed_tree.h"

#include <algorithm>
#include <bit>

#include "kernels/hash/tree.h"
#include "verifier/proof/question.h"

namespace gemmine::verifier {

using kernels::ChunkRange;
using kernels::ChunkSource;

ClaimedTree::ClaimedTree(const kernels::Blake3Mode& mode, uint64_t bytes, uint8_t level,
                         std::vector<Digest> nodes)
    : mode_(mode),
      bytes_(bytes),
      chunks_(node_count(bytes, 0)),
      level_(level),
      nodes_(std::move(nodes)) {
  GEMMINE_CHECK(nodes_.size() == node_count(bytes, level));
}

Digest ClaimedTree::root() const {
  if (nodes_.size() == 1) return nodes_.front();
  std::vector<Digest> level = nodes_;
  return kernels::root_from_cvs(mode_, level);
}

Status ClaimedTree::show(uint64_t first, ByteView bytes) {
  const uint64_t last = first + node_count(bytes.size(), 0);
  const uint64_t width = uint64_t{1} << level_;
  if (bytes.empty() || last > chunks_ || first % width != 0 ||
      (last % width != 0 && last != chunks_))
    return Error{Errc::invalid, "the shown chunks are not whole nodes"};
  shown_first_ = first;
  shown_.assign(bytes.begin(), bytes.end());
  if (nodes_.size() == 1) {
    const bool same = kernels::blake3_source(mode_, ChunkSource::of_bytes(shown_)) == nodes_[0];
    return same ? Status(Ok{}) : Error{Errc::invalid, "the shown chunks are not the claimed ones"};
  }
  for (uint64_t begin = first; begin < last; begin += width)
    if (shown_node(begin, std::min(chunks_, begin + width)) != nodes_[begin >> level_])
      return Error{Errc::invalid, "the shown chunks are not the claimed ones"};
  return Ok{};
}

bool ClaimedTree::has_below(uint64_t first, std::span<const Digest> chunks) const {
  GEMMINE_CHECK(level_ > 0 && nodes_.size() > 1 && !chunks.empty());
  std::vector<Digest> cvs(chunks.begin(), chunks.end());
  size_t count = cvs.size();
  while (count > 1)
    count = kernels::parent_cvs(mode_, std::span(cvs).first(count));
  return cvs.front() == nodes_.at(first >> level_);
}

ByteView ClaimedTree::shown(uint64_t chunk) const {
  if (chunk < shown_first_ || (chunk - shown_first_) * kChunk >= shown_.size()) return {};
  const uint64_t at = (chunk - shown_first_) * kChunk;
  return ByteView(shown_).subspan(at, std::min<uint64_t>(kChunk, shown_.size() - at));
}

// Of chunks that were all shown, and not of the whole string.
Digest ClaimedTree::shown_node(uint64_t first, uint64_t last) const {
  if (last - first == 1) {
    const ByteView bytes = shown(first);
    GEMMINE_CHECK(!bytes.empty());
    return kernels::leaf_cv(mode_, bytes, first);
  }
  const uint64_t middle = first + std::bit_ceil(last - first) / 2;
  return kernels::parent_cv(mode_, shown_node(first, middle), shown_node(middle, last));
}

// Not of the whole string.
Digest ClaimedTree::node(uint64_t first, uint64_t last) const {
  const uint64_t width = uint64_t{1} << level_;
  if (nodes_.size() == 1 || last - first < std::min(width, chunks_ - first / width * width))
    return shown_node(first, last);
  if (last - first <= width) return nodes_[first >> level_];
  const uint64_t middle = first + std::bit_ceil(last - first) / 2;
  return kernels::parent_cv(mode_, node(first, middle), node(middle, last));
}

// On the lowest level every chunk is a node; above it only the shown ones are cut into chunks.
bool ClaimedTree::can_open(std::span<const ChunkRange> ranges) const {
  const uint64_t last = shown_first_ + (shown_.empty() ? 0 : node_count(shown_.size(), 0));
  return level_ == 0 || std::ranges::all_of(ranges, [&](const ChunkRange& range) {
           return range.first >= shown_first_ && range.last <= last;
         });
}

std::vector<Digest> ClaimedTree::siblings(std::span<const ChunkRange> ranges) const {
  std::vector<Digest> out;
  std::vector<ChunkRange> waiting = {{0, chunks_}};
  while (!waiting.empty()) {
    const ChunkRange at = waiting.back();
    waiting.pop_back();
    const auto touches = [&](const ChunkRange& r) {
      return r.first < at.last && r.last > at.first;
    };
    const auto covers = [&](const ChunkRange& r) {
      return r.first <= at.first && r.last >= at.last;
    };
    if (std::ranges::none_of(ranges, touches)) {
      out.push_back(node(at.first, at.last));
    } else if (at.last - at.first > 1 && std::ranges::none_of(ranges, covers)) {
      const uint64_t middle = at.first + std::bit_ceil(at.last - at.first) / 2;
      waiting.push_back({middle, at.last});
      waiting.push_back({at.first, middle});
    }
  }
  return out;
}

std::vector<Digest> nodes_of(const kernels::Blake3Mode& mode, ByteView string, uint8_t level,
                             uint64_t first, uint64_t count) {
  const auto source = ChunkSource::of_bytes(string);
  const uint64_t nodes = node_count(string.size(), level);
  GEMMINE_CHECK(first + count <= nodes);
  std::vector<Digest> out(count);
  if (nodes == 1) {
    if (count == 1) out[0] = kernels::blake3_source(mode, source);
    return out;
  }
  for (uint64_t n = 0; n < count; ++n) {
    const uint64_t begin = (first + n) << level;
    out[n] = kernels::node_cv(mode, source,
                              {begin, std::min(source.chunks(), begin + (uint64_t{1} << level))});
  }
  return out;
}

uint8_t level_for(uint64_t bytes, uint64_t payload_max) {
  uint8_t level = 0;
  while (node_count(bytes, level) * 32 > payload_max)
    ++level;
  return level;
}

}  // namespace gemmine::verifier
