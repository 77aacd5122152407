// A string of the accused's as far as he has shown it: the nodes of one level of its tree, and
// below one of them the chunks. Openings of it take their siblings from here (PROTOCOL 4.5, 12.11).
#pragma once

#include <span>
#include <vector>

#include "kernels/hash/blake3.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::verifier {

class ClaimedTree {
 public:
  // nodes: of 2^level chunks each, all of them; with one node, its root.
  ClaimedTree(const kernels::Blake3Mode& mode, uint64_t bytes, uint8_t level,
              std::vector<Digest> nodes);

  Digest root() const;
  uint64_t chunks() const { return chunks_; }
  uint8_t level() const { return level_; }
  const std::vector<Digest>& nodes() const { return nodes_; }

  // The bytes of chunks from `first` on: whole nodes, as the accused shows them. Errors: invalid
  // (they are not the ones of his nodes).
  Status show(uint64_t first, ByteView bytes);
  // Whether these are the values of one node's chunks, the first of which is chunk `first`. They
  // are not kept. level() > 0, and the string has more than one node.
  bool has_below(uint64_t first, std::span<const Digest> chunks) const;
  // All that was shown, and the first of its chunks.
  ByteView shown() const { return shown_; }
  uint64_t shown_first() const { return shown_first_; }
  // Whether siblings() can be told.
  bool can_open(std::span<const kernels::ChunkRange> ranges) const;

  // Siblings of a multiproof of `ranges`. can_open(ranges).
  std::vector<Digest> siblings(std::span<const kernels::ChunkRange> ranges) const;

 private:
  ByteView shown(uint64_t chunk) const;
  Digest node(uint64_t first, uint64_t last) const;
  Digest shown_node(uint64_t first, uint64_t last) const;

  kernels::Blake3Mode mode_;
  uint64_t bytes_;
  uint64_t chunks_;
  uint8_t level_;
  std::vector<Digest> nodes_;
  uint64_t shown_first_ = 0;
  Bytes shown_;
};

// Of our own string, to compare: the nodes of a level, as its owner answers. A string of one node
// gives its root.
std::vector<Digest> nodes_of(const kernels::Blake3Mode& mode, ByteView string, uint8_t level,
                             uint64_t first, uint64_t count);
// The lowest level on which all nodes of a string fit an answer.
uint8_t level_for(uint64_t bytes, uint64_t payload_max);

}  // namespace gemmine::verifier
