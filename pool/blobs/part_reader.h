// A file on its way out: any of its parts with their paths to the root, read when they are needed.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "pool/blobs/piece_file.h"
#include "pool/wire/parts.h"

namespace gemmine::pool {

// Bytes of an open file and their path in its tree; hashes nothing.
// Errors: invalid_argument (not in the file), io.
Result<Part> read_part(const PieceFile& file, const kernels::ChunkTree& tree, GroupRange range);

// Holds an open file and its tree (64 bytes for each 64 KiB), and none of its bytes.
class PartReader {
 public:
  // The file at `path`, whose content address is `root`, with its PATH.tree. Reads the tree, not
  // the file. Errors: io (no file, or no tree), invalid (the tree is another file's).
  static Result<PartReader> open(const std::string& path, const Digest& root);

  uint64_t total_bytes() const { return tree_.total_bytes(); }
  const Digest& root() const { return tree_.root(); }
  // Errors: those of read_part.
  Result<Part> part(GroupRange range) const { return read_part(file_, tree_, range); }

 private:
  PartReader(PieceFile file, kernels::ChunkTree tree)
      : file_(std::move(file)), tree_(std::move(tree)) {}
  PieceFile file_;
  kernels::ChunkTree tree_;
};

// Makes PATH.tree for a file that has none: reads and hashes all of it. Not for the loop's thread.
// Errors: io, invalid (the file has another hash: it is damaged).
Status make_tree(const std::string& path, const Digest& root);

}  // namespace gemmine::pool
