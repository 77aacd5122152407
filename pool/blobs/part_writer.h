// A byte string that arrives in parts, in order, into a file that grows until it is whole.
//
// Every part is checked against the root before it is written, so the file is always a true
// beginning. It is not synced before finish(): after a power cut its end may be other bytes, which
// finish() finds, since it reads the whole file again. Nothing is kept in memory between parts.
#pragma once

#include <cstdint>
#include <string>

#include "pool/blobs/piece_file.h"
#include "pool/blobs/tree_file.h"
#include "pool/wire/parts.h"

namespace gemmine::pool {

class PartWriter {
 public:
  // Goes on where the file stopped: what is not a whole group is cut off. Errors: io, naming it.
  // total_bytes <= kBlobBytesMax.
  static Result<PartWriter> open(const std::string& path, const Digest& root, uint64_t total_bytes);

  uint64_t groups() const { return groups_; }  // that are in the file, from the first
  bool whole() const { return groups_ == groups_of(total_bytes_); }

  // Appends the next part; one that is there already is passed over. Errors: undecided (one before
  // it is missing), malformed (another length), invalid (not of this root), io.
  Status take(const Part& part);

  // When whole: reads it again, checks its hash, makes TO.tree, syncs, and renames it to TO, on the
  // same file system. on_piece may look at the bytes as they go by. Slow: not for the loop's
  // thread. Errors: io; invalid (the disk holds another string than `root` says) and on_piece's:
  // the file is gone then, to begin again.
  Status finish(const std::string& to, const OnPiece& on_piece = nullptr);

 private:
  PartWriter(PieceFile file, const Digest& root, uint64_t total_bytes, uint64_t groups)
      : file_(std::move(file)), root_(root), total_bytes_(total_bytes), groups_(groups) {}
  PieceFile file_;
  Digest root_;
  uint64_t total_bytes_;
  uint64_t groups_;
};

std::string part_path(const std::string& path);  // PATH.part, where a file to be grows

}  // namespace gemmine::pool
