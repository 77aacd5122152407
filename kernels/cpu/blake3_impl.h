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

inline constexpr size_t kLanesMax = 16;

// Where one input's 64-byte blocks lie: block b at `at + b * stride`. No alignment is needed.
struct Lane {
  const uint8_t* at;
  size_t stride;
};

// `count` inputs of `blocks` whole blocks each; input i has the counter `counter + i *
// counter_step`. out gets 32 bytes an input. out may overlay the lanes of one block if out + 32·i
// is not after lane i: every path reads an input before it writes an output at or after it.
struct Batch {
  const uint32_t* key;  // 8 words
  const Lane* lanes;
  size_t count;
  size_t blocks;
  uint64_t counter;
  uint64_t counter_step;  // 1 for chunks, 0 for parents
  uint32_t flags;         // of every block
  uint32_t first_flags;   // more, of the first block
  uint32_t last_flags;    // more, of the last block
  uint8_t* out;
};

// out is 16 words: the new chaining value, then the rest of an extended output.
void compress(const uint32_t cv[8], const uint8_t block[64], uint32_t block_bytes, uint64_t counter,
              uint32_t flags, uint32_t out[16]);

void hash_lanes_portable(const Batch& batch);  // any count
void hash_lanes_avx2(const Batch& batch);      // count 1..8
void hash_lanes_avx512(const Batch& batch);    // count 1..16

}  // namespace gemmine::kernels::blake3_impl
