// The trees of many strings under one key: leaves while their bytes are at hand, roots together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/hash/blake3.h"

namespace gemmine::kernels {

// Gives what blake3_source gives for each source, in less time: whoever has just written a strip of
// a matrix hashes it while it is in that thread's cache, and the short strings and the nodes near
// the roots, alone too few for a vector, are hashed side by side. 32 bytes of memory a chunk.
class Blake3Forest {
 public:
  Blake3Forest() = default;
  // The bytes the sources look at may change between begin() and the next, not move. Of the plain
  // strings, those marked in `in_parts` are hashed by hash_chunks, the others by roots().
  explicit Blake3Forest(std::vector<ChunkSource> sources, std::vector<bool> in_parts = {});

  bool empty() const { return sources_.empty(); }
  void begin(const Blake3Mode& mode) { mode_ = mode; }
  // Tiles down [first, last) of tree `tree`, which must be a tile order. Several threads at once,
  // each strip once.
  void hash_strip(size_t tree, size_t first, size_t last);
  // Chunks of tree `tree`, a plain string of whole chunks, at least two. As hash_strip.
  void hash_chunks(size_t tree, ChunkRange range);
  // Of all trees; every strip of every tile order, and every chunk of the strings in parts, must
  // have been hashed since begin().
  void roots(std::span<Digest> out);

 private:
  struct Short;
  std::span<Digest> cvs(size_t tree) {
    return std::span(cvs_).subspan(offsets_[tree], sources_[tree].chunks());
  }
  std::vector<Short> hash_whole_chunks(std::span<Digest> out);
  void hash_short(std::vector<Short> shorts);
  void hash_parents(std::span<Digest> out);

  Blake3Mode mode_{};
  std::vector<ChunkSource> sources_;
  std::vector<bool> in_parts_;
  std::vector<size_t> offsets_;  // of each tree's leaves in cvs_
  std::vector<Digest> cvs_;
};

}  // namespace gemmine::kernels
