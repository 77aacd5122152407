// Private to BLAKE3: inputs of one kind, collected until there are enough for the widest kernel.
#pragma once

#include <array>
#include <span>

#include "kernels/hash/blake3.h"
#include "kernels/hash/compress.h"

namespace gemmine::kernels::blake3_impl {

inline uint8_t* raw(Digest& digest) {
  return digest.bytes.data();
}

// Kinds of input: whole chunks, and pairs of chaining values.
Batch leaf_batch(const Blake3Mode& mode);
Batch parent_batch(const Blake3Mode& mode);

// Of inputs pushed, some are hashed at once and the rest by flush(), which must come last.
class LaneQueue {
 public:
  explicit LaneQueue(const Batch& kind) : kind_(kind) {}
  // For inputs read in the order of memory: how far apart one batch and the next are.
  void fetch_ahead(size_t bytes) { kind_.ahead = bytes; }
  // Room for the next input's bytes, good until it has been hashed.
  std::span<uint8_t, kChunkBytes> scratch() {
    return std::span<uint8_t, kChunkBytes>(&scratch_[count_ * kChunkBytes], kChunkBytes);
  }
  void push(const Lane& lane) {
    lanes_[count_++] = lane;
    if (count_ == kLanesMax) flush();
  }
  void flush();

 private:
  Batch kind_;
  size_t count_ = 0;
  std::array<Lane, kLanesMax> lanes_;
  std::array<uint8_t, kLanesMax * kChunkBytes> scratch_;
};

// One level up, in place, in two steps: the pairs' parents are asked for, and once they have been
// hashed an odd last node moves up beside them. Returns how many nodes the level above has.
size_t push_parents(std::span<Digest> cvs, LaneQueue& parents);
void carry_odd(std::span<Digest> cvs);

}  // namespace gemmine::kernels::blake3_impl
