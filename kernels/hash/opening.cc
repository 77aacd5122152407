#include "kernels/hash/opening.h"

#include <algorithm>
#include <bit>

#include "kernels/hash/node.h"
#include "kernels/hash/tree.h"

namespace gemmine::kernels {
namespace {

using blake3_impl::kGroupChunks;

constexpr uint64_t kTreeDepthMax = 32;
static_assert(kTreeBytesMax / kChunkBytes == uint64_t{1} << kTreeDepthMax);

uint64_t bytes_of(ChunkRange range, uint64_t total_bytes) {
  return std::min(range.last * kChunkBytes, total_bytes) -
         std::min(range.first * kChunkBytes, total_bytes);
}

Status check_ranges(uint64_t total_bytes, std::span<const ChunkRange> selected) {
  if (total_bytes > kTreeBytesMax) {
    return Error{Errc::invalid_argument, "opening: more bytes than a tree may have"};
  }
  if (selected.empty()) return Error{Errc::invalid_argument, "opening: no chunk is selected"};
  uint64_t end = 0;
  for (const ChunkRange& range : selected) {
    if (range.first < end || range.first >= range.last) {
      return Error{Errc::invalid_argument, "opening: ranges are not sorted, disjoint, nonempty"};
    }
    end = range.last;
  }
  if (end > chunks_of(total_bytes)) {
    return Error{Errc::invalid_argument, "opening: a range lies past the last chunk"};
  }
  return Ok{};
}

// The largest power of two below `count`: how many chunks the left child has.
uint64_t left_chunks(uint64_t count) {
  return std::bit_ceil(count) / 2;
}

// Answers for the nodes of one pre-order walk, which only ever moves right.
class Selection {
 public:
  explicit Selection(std::span<const ChunkRange> ranges) : rest_(ranges) {}

  bool touches(ChunkRange node) {
    skip_to(node.first);
    return !rest_.empty() && rest_.front().first < node.last;
  }
  bool covers(ChunkRange node) {
    skip_to(node.first);
    return !rest_.empty() && rest_.front().first <= node.first && rest_.front().last >= node.last;
  }

 private:
  void skip_to(uint64_t chunk) {
    while (!rest_.empty() && rest_.front().last <= chunk)
      rest_ = rest_.subspan(1);
  }
  std::span<const ChunkRange> rest_;
};

// Calls emit(node) for every maximal node that holds no selected chunk, in pre-order. Right
// children wait on a stack of at most one a level.
template <class Emit>
void for_each_sibling(uint64_t chunks, std::span<const ChunkRange> selected, Emit&& emit) {
  Selection selection(selected);
  std::array<ChunkRange, kTreeDepthMax + 1> waiting;
  size_t count = 0;
  waiting[count++] = {0, chunks};
  while (count > 0) {
    const ChunkRange node = waiting[--count];
    if (!selection.touches(node)) {
      emit(node);
      continue;
    }
    if (selection.covers(node)) continue;
    const uint64_t middle = node.first + left_chunks(node.last - node.first);
    waiting[count++] = {middle, node.last};
    waiting[count++] = {node.first, middle};
  }
}

// Rebuilds chaining values from what an opening holds, taking bytes and siblings in order.
class Rebuild {
 public:
  Rebuild(const Blake3Mode& mode, uint64_t total_bytes, std::span<const ChunkRange> selected,
          ByteView bytes, std::span<const Digest> siblings)
      : mode_(mode),
        total_bytes_(total_bytes),
        selection_(selected),
        bytes_(bytes),
        siblings_(siblings) {}

  Digest root() {
    const ChunkRange all = {0, chunks_of(total_bytes_)};
    if (all.last == 1) return leaf_root(mode_, take_bytes(all));
    const uint64_t middle = left_chunks(all.last);
    const Digest left = chaining_value({0, middle});
    const Digest right = chaining_value({middle, all.last});
    return parent_root(mode_, left, right);
  }

 private:
  // At most kTreeDepthMax deep.
  Digest chaining_value(ChunkRange node) {
    if (!selection_.touches(node)) {
      const Digest sibling = siblings_.front();
      siblings_ = siblings_.subspan(1);
      return sibling;
    }
    if (node.last - node.first <= kGroupChunks && selection_.covers(node)) {
      const ChunkSource source = ChunkSource::of_bytes(take_bytes(node));
      return blake3_impl::group_cv(mode_, source, {0, node.last - node.first}, node.first);
    }
    const uint64_t middle = node.first + left_chunks(node.last - node.first);
    const Digest left = chaining_value({node.first, middle});
    const Digest right = chaining_value({middle, node.last});
    return parent_cv(mode_, left, right);
  }

  ByteView take_bytes(ChunkRange node) {
    const ByteView head = bytes_.first(bytes_of(node, total_bytes_));
    bytes_ = bytes_.subspan(head.size());
    return head;
  }

  const Blake3Mode& mode_;
  uint64_t total_bytes_;
  Selection selection_;
  ByteView bytes_;
  std::span<const Digest> siblings_;
};

}  // namespace

Result<OpeningSize> opening_size(uint64_t total_bytes, std::span<const ChunkRange> selected) {
  const Status ranges = check_ranges(total_bytes, selected);
  if (!ranges) return ranges.error();
  OpeningSize out{0, 0};
  for (const ChunkRange& range : selected)
    out.bytes += bytes_of(range, total_bytes);
  for_each_sibling(chunks_of(total_bytes), selected, [&](ChunkRange) { ++out.siblings; });
  return out;
}

Result<Bytes> opened_bytes(const ChunkSource& source, std::span<const ChunkRange> selected) {
  const Result<OpeningSize> size = opening_size(source.total_bytes(), selected);
  if (!size) return size.error();
  Bytes out(size.value().bytes);
  size_t at = 0;
  for (const ChunkRange& range : selected) {
    const uint64_t bytes = bytes_of(range, source.total_bytes());
    source.copy(range, std::span(out).subspan(at, bytes));
    at += bytes;
  }
  return out;
}

Status verify_chunks(const Digest& root, const Blake3Mode& mode, uint64_t total_bytes,
                     std::span<const ChunkRange> selected, ByteView bytes,
                     std::span<const Digest> siblings) {
  // Sizes first: past this point every byte and sibling the walk takes is there.
  const Result<OpeningSize> size = opening_size(total_bytes, selected);
  if (!size) return size.error();
  if (bytes.size() != size.value().bytes) {
    return Error{Errc::malformed, "opening: not the bytes of the selected chunks"};
  }
  if (siblings.size() != size.value().siblings) {
    return Error{Errc::malformed, "opening: too few or too many siblings"};
  }
  if (Rebuild(mode, total_bytes, selected, bytes, siblings).root() != root) {
    return Error{Errc::invalid, "opening: another root comes out"};
  }
  return Ok{};
}

Result<std::vector<Digest>> open_chunks(const Blake3Mode& mode, const ChunkSource& source,
                                        std::span<const ChunkRange> selected) {
  const Status ranges = check_ranges(source.total_bytes(), selected);
  if (!ranges) return ranges.error();
  std::vector<Digest> out;
  for_each_sibling(source.chunks(), selected,
                   [&](ChunkRange node) { out.push_back(node_cv(mode, source, node)); });
  return out;
}

ChunkTree ChunkTree::build(const Blake3Mode& mode, const ChunkSource& source, size_t group_chunks,
                           int threads) {
  GEMMINE_CHECK(std::has_single_bit(group_chunks) && group_chunks <= kGroupChunks);
  ChunkTree out;
  out.mode_ = mode;
  out.total_bytes_ = source.total_bytes();
  out.group_chunks_ = group_chunks;
  std::vector<Digest> level((source.chunks() + group_chunks - 1) / group_chunks);
  blake3_impl::group_cvs(mode, source, group_chunks, threads, level);
  while (level.size() > 2) {
    out.levels_.push_back(level);
    level.resize(parent_cvs(mode, level));
  }
  out.root_ = level.size() == 2 ? parent_root(mode, level[0], level[1])
                                : blake3_source(mode, source);  // All in one group.
  out.levels_.push_back(std::move(level));
  return out;
}

ChunkTree ChunkTree::from_groups(const Blake3Mode& mode, uint64_t total_bytes,
                                 std::vector<Digest> groups) {
  ChunkTree out;
  out.mode_ = mode;
  out.total_bytes_ = total_bytes;
  out.group_chunks_ = 64;
  GEMMINE_CHECK(groups.size() >= 2 && groups.size() == (chunks_of(total_bytes) + 63) / 64);
  while (groups.size() > 2) {
    out.levels_.push_back(groups);
    groups.resize(parent_cvs(mode, groups));
  }
  out.root_ = parent_root(mode, groups[0], groups[1]);
  out.levels_.push_back(std::move(groups));
  return out;
}

const Digest* ChunkTree::find(ChunkRange node) const {
  // At the right edge a group may be short, and is then a node of fewer chunks.
  const bool at_edge = node.last == chunks_of(total_bytes_);
  if (node.first % group_chunks_ != 0) return nullptr;
  if (node.last - node.first < group_chunks_ && !at_edge) return nullptr;
  const uint64_t width = std::max<uint64_t>(std::bit_ceil(node.last - node.first), group_chunks_);
  const auto level = static_cast<size_t>(std::countr_zero(width / group_chunks_));
  if (level >= levels_.size() || node.first / width >= levels_[level].size()) return nullptr;
  return &levels_[level][node.first / width];
}

Result<std::vector<Digest>> ChunkTree::open(std::span<const ChunkRange> selected,
                                            const ChunkSource* source) const {
  const Status ranges = check_ranges(total_bytes_, selected);
  if (!ranges) return ranges.error();
  GEMMINE_CHECK(source == nullptr || source->total_bytes() == total_bytes_);
  std::vector<Digest> out;
  bool missing = false;
  for_each_sibling(chunks_of(total_bytes_), selected, [&](ChunkRange node) {
    if (const Digest* cv = find(node)) {
      out.push_back(*cv);
    } else if (source != nullptr) {
      out.push_back(node_cv(mode_, *source, node));
    } else {
      missing = true;
    }
  });
  if (missing) return Error{Errc::undecided, "opening: a group's own bytes are needed"};
  return out;
}

}  // namespace gemmine::kernels
