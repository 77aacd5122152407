// Openings of a hashed string: some of its chunks, and proof that they are in it (PROTOCOL 4.5).
#pragma once

#include <span>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/hash/blake3.h"

namespace gemmine::kernels {

// The tree is a Merkle tree over chunks. Selected are sorted, disjoint,
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
