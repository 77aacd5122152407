// Private to BLAKE3: one compression, and the same work on many inputs at once, per instruction
// set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemmine::kernels::blake3_impl {

inline constexpr uint32_t kIv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

// Word order of the message in each of the seven rounds: the permutation of the paper, repeated.
inline constexpr int kSchedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

inline constexpr uint32_t kChunkStart = 1;
inline constexpr uint32_t kChunkEnd = 2;
inline constexpr uint32_t kParent = 4;
inline constexpr uint32_t kRoot = 8;
inline constexpr uint32_t kKeyedHash = 16;
inline constexpr uint32_t kDeriveKeyContext = 32;
inline constexpr uint32_t kDeriveKeyMaterial = 64;

inline constexpr size_t kLanesMax = 32;

// One input: block b of it lies at `at + b * stride`, 64 bytes, of any alignment; its hash goes to
// the 32 bytes at `out`.
struct Lane {
  const uint8_t* at;
  size_t stride;
  uint64_t counter;  // index of a chunk; 0 for parents
  uint8_t* out;
};

// `count` inputs of `blocks` blocks each, of equal length. An `out` may overlay the inputs of its
// own and earlier lanes if they have one block: every path reads an input before it writes the
// output of it or of a later lane.
struct Batch {
  const uint32_t* key;  // 8 words
  const Lane* lanes;
  size_t count;
  size_t blocks;
  uint32_t flags;            // of every block
  uint32_t first_flags;      // more, of the first block
  uint32_t last_flags;       // more, of the last block
  uint32_t last_bytes = 64;  // of the last block that count; the others are zero
  size_t ahead = 0;          // bytes from a block to one that is wanted soon, worth fetching
};

// out is 16 words: the new chaining value, then the rest of an extended output.
void compress(const uint32_t cv[8], const uint8_t block[64], uint32_t block_bytes, uint64_t counter,
              uint32_t flags, uint32_t out[16]);

void hash_lanes_portable(const Batch& batch);  // any count
void hash_lanes_avx2(const Batch& batch);      // count 1..8
void hash_lanes_avx512(const Batch& batch);    // count 1..32

}  // namespace gemmine::kernels::blake3_impl
