// Parts of blobs for those who fetch them: read from disk with paths from PATH.tree. One thread's.
#pragma once

#include <list>
#include <string>

#include "kernels/base/result.h"
#include "pool/blobs/part_reader.h"

namespace gemmine::pool {

inline constexpr uint64_t kOpenTreeBytesMax = uint64_t{64} << 20;  // of trees kept at hand
inline constexpr size_t kOpenTreesMax = 64;                        // how many of them

// Opens a blob's file for as long as it reads from it: between parts it holds no descriptor, and no
// room of a blob that was dropped. Memory: kOpenTreeBytesMax and the largest blob's tree (16 MiB),
// and no blob's bytes.
class BlobReader {
 public:
  explicit BlobReader(std::string blobs) : blobs_(std::move(blobs)) {}

  // Errors: io (no such blob, or it cannot be read), invalid_argument (the range is not in it),
  // invalid (damaged on disk), undecided (it has no tree yet: make_tree(), then again). The texts
  // may go to whoever asked: they name the blob, and no place on this machine.
  Result<Part> read(const GetBlob& get);
  std::string path(const Digest& address) const;

 private:
  Result<Part> read_at(const GetBlob& get);
  // The tree of this open file.
  Result<const kernels::ChunkTree*> at_hand(const Digest& address, const PieceFile& file);

  const std::string blobs_;
  std::list<kernels::ChunkTree> trees_;  // most recently used first
  uint64_t tree_bytes_ = 0;
};

}  // namespace gemmine::pool
