// BLAKE3's compression function, written to be read against section 2.2 of the BLAKE3 paper.
#include <bit>
#include <cstring>

#include "kernels/hash/compress.h"

namespace gemmine::kernels::blake3_impl {
namespace {

inline void mix(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x, uint32_t y) {
  a += b + x;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 12);
  a += b + y;
  d = std::rotr(d ^ a, 8);
  c += d;
  b = std::rotr(b ^ c, 7);
}

inline void round(uint32_t v[16], const uint32_t m[16], const int s[16]) {
  mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

}  // namespace

void compress(const uint32_t cv[8], const uint8_t block[64], uint32_t block_bytes, uint64_t counter,
              uint32_t flags, uint32_t out[16]) {
  uint32_t m[16];
  std::memcpy(m, block, sizeof m);
  uint32_t v[16] = {cv[0],
                    cv[1],
                    cv[2],
                    cv[3],
                    cv[4],
                    cv[5],
                    cv[6],
                    cv[7],
                    kIv[0],
                    kIv[1],
                    kIv[2],
                    kIv[3],
                    static_cast<uint32_t>(counter),
                    static_cast<uint32_t>(counter >> 32),
                    block_bytes,
                    flags};
  // Written out, so that the schedule is constants in the code.
  round(v, m, kSchedule[0]);
  round(v, m, kSchedule[1]);
  round(v, m, kSchedule[2]);
  round(v, m, kSchedule[3]);
  round(v, m, kSchedule[4]);
  round(v, m, kSchedule[5]);
  round(v, m, kSchedule[6]);
  for (int i = 0; i < 8; ++i) {
    out[i + 8] = v[i + 8] ^ cv[i];
    out[i] = v[i] ^ v[i + 8];
  }
}

void hash_lanes_portable(const Batch& batch) {
  for (size_t lane = 0; lane < batch.count; ++lane) {
    uint32_t cv[16];
    std::memcpy(cv, batch.key, 32);
    const Lane& input = batch.lanes[lane];
    for (size_t b = 0; b < batch.blocks; ++b) {
      uint32_t flags = batch.flags;
      if (b == 0) flags |= batch.first_flags;
      if (b + 1 == batch.blocks) flags |= batch.last_flags;
      const uint32_t bytes = b + 1 == batch.blocks ? batch.last_bytes : 64;
      compress(cv, input.at + b * input.stride, bytes, input.counter, flags, cv);
    }
    std::memcpy(input.out, cv, 32);
  }
}

}  // namespace gemmine::kernels::blake3_impl
