// BLAKE3 on sixteen inputs at once: lane i of every vector belongs to input i.
#include <immintrin.h>

#include "kernels/cpu/blake3_impl.h"

namespace gemmine::kernels::blake3_impl {
namespace {

using V = __m512i;

// Four words of the 4 x 4 state, each for sixteen inputs; a row at a time keeps four chains busy.
struct Row {
  V x0, x1, x2, x3;
};

inline Row add(Row a, Row b) {
  return {_mm512_add_epi32(a.x0, b.x0), _mm512_add_epi32(a.x1, b.x1), _mm512_add_epi32(a.x2, b.x2),
          _mm512_add_epi32(a.x3, b.x3)};
}

template <int kBits>
inline Row xor_rotate(Row a, Row b) {
  return {_mm512_ror_epi32(_mm512_xor_si512(a.x0, b.x0), kBits),
          _mm512_ror_epi32(_mm512_xor_si512(a.x1, b.x1), kBits),
          _mm512_ror_epi32(_mm512_xor_si512(a.x2, b.x2), kBits),
          _mm512_ror_epi32(_mm512_xor_si512(a.x3, b.x3), kBits)};
}

inline void mix(Row& a, Row& b, Row& c, Row& d, Row x, Row y) {
  a = add(add(a, x), b);
  d = xor_rotate<16>(d, a);
  c = add(c, d);
  b = xor_rotate<12>(b, c);
  a = add(add(a, y), b);
  d = xor_rotate<8>(d, a);
  c = add(c, d);
  b = xor_rotate<7>(b, c);
}

template <int kRound>
inline void round(Row& a, Row& b, Row& c, Row& d, const V* m) {
  constexpr const int* s = kSchedule[kRound];
  mix(a, b, c, d, {m[s[0]], m[s[2]], m[s[4]], m[s[6]]}, {m[s[1]], m[s[3]], m[s[5]], m[s[7]]});
  // The diagonals are columns once the rows are turned; turning is only renaming.
  Row tb = {b.x1, b.x2, b.x3, b.x0};
  Row tc = {c.x2, c.x3, c.x0, c.x1};
  Row td = {d.x3, d.x0, d.x1, d.x2};
  mix(a, tb, tc, td, {m[s[8]], m[s[10]], m[s[12]], m[s[14]]},
      {m[s[9]], m[s[11]], m[s[13]], m[s[15]]});
  b = {tb.x3, tb.x0, tb.x1, tb.x2};
  c = {tc.x2, tc.x3, tc.x0, tc.x1};
  d = {td.x1, td.x2, td.x3, td.x0};
}

// Four 16-byte pieces from four inputs, side by side.
inline V gather_quarter(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d) {
  const V low = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)));
  const V ab = _mm512_mask_broadcast_i32x4(low, 0x00f0,
                                           _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
  const V abc =
      _mm512_mask_broadcast_i32x4(ab, 0x0f00, _mm_loadu_si128(reinterpret_cast<const __m128i*>(c)));
  return _mm512_mask_broadcast_i32x4(abc, 0xf000,
                                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(d)));
}

// m[w] gets word w of the current block of all sixteen inputs: a 16 x 16 transpose. The loads place
// inputs i, i+4, i+8, i+12 in the quarters, so only in-quarter unpacks are left to do.
inline void load_words(const uint8_t* const* at, V* m) {
  for (int q = 0; q < 4; ++q) {
    const int o = q * 16;
    const V r0 = gather_quarter(at[0] + o, at[4] + o, at[8] + o, at[12] + o);
    const V r1 = gather_quarter(at[1] + o, at[5] + o, at[9] + o, at[13] + o);
    const V r2 = gather_quarter(at[2] + o, at[6] + o, at[10] + o, at[14] + o);
    const V r3 = gather_quarter(at[3] + o, at[7] + o, at[11] + o, at[15] + o);
    const V t0 = _mm512_unpacklo_epi32(r0, r1);
    const V t1 = _mm512_unpackhi_epi32(r0, r1);
    const V t2 = _mm512_unpacklo_epi32(r2, r3);
    const V t3 = _mm512_unpackhi_epi32(r2, r3);
    m[4 * q + 0] = _mm512_unpacklo_epi64(t0, t2);
    m[4 * q + 1] = _mm512_unpackhi_epi64(t0, t2);
    m[4 * q + 2] = _mm512_unpacklo_epi64(t1, t3);
    m[4 * q + 3] = _mm512_unpackhi_epi64(t1, t3);
  }
}

// Four words (a row) of sixteen inputs become four vectors of inputs {i, i+4, i+8, i+12}, 16 bytes
// each: the transpose above, backwards.
inline void store_row(Row row, uint8_t* out, size_t count) {
  const V t0 = _mm512_unpacklo_epi32(row.x0, row.x1);
  const V t1 = _mm512_unpackhi_epi32(row.x0, row.x1);
  const V t2 = _mm512_unpacklo_epi32(row.x2, row.x3);
  const V t3 = _mm512_unpackhi_epi32(row.x2, row.x3);
  const V inputs[4] = {_mm512_unpacklo_epi64(t0, t2), _mm512_unpackhi_epi64(t0, t2),
                       _mm512_unpacklo_epi64(t1, t3), _mm512_unpackhi_epi64(t1, t3)};
  for (size_t i = 0; i < 4; ++i) {
    const auto put = [&](size_t input, __m128i value) {
      if (input < count) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + input * 32), value);
    };
    put(i, _mm512_castsi512_si128(inputs[i]));
    put(i + 4, _mm512_extracti32x4_epi32(inputs[i], 1));
    put(i + 8, _mm512_extracti32x4_epi32(inputs[i], 2));
    put(i + 12, _mm512_extracti32x4_epi32(inputs[i], 3));
  }
}

inline V set1(uint32_t word) {
  return _mm512_set1_epi32(static_cast<int>(word));
}

inline Row xor_rows(Row a, Row b) {
  return {_mm512_xor_si512(a.x0, b.x0), _mm512_xor_si512(a.x1, b.x1), _mm512_xor_si512(a.x2, b.x2),
          _mm512_xor_si512(a.x3, b.x3)};
}

}  // namespace

void hash_lanes_avx512(const Batch& batch) {
  const uint8_t* at[16];
  size_t stride[16];
  alignas(64) uint32_t counter_low[16];
  alignas(64) uint32_t counter_high[16];
  for (size_t i = 0; i < 16; ++i) {
    const size_t lane = i < batch.count ? i : 0;  // Idle lanes repeat the first.
    at[i] = batch.lanes[lane].at;
    stride[i] = batch.lanes[lane].stride;
    const uint64_t counter = batch.counter + i * batch.counter_step;
    counter_low[i] = static_cast<uint32_t>(counter);
    counter_high[i] = static_cast<uint32_t>(counter >> 32);
  }
  const uint32_t* k = batch.key;
  Row h0 = {set1(k[0]), set1(k[1]), set1(k[2]), set1(k[3])};
  Row h1 = {set1(k[4]), set1(k[5]), set1(k[6]), set1(k[7])};
  for (size_t block = 0; block < batch.blocks; ++block) {
    uint32_t flags = batch.flags;
    if (block == 0) flags |= batch.first_flags;
    if (block + 1 == batch.blocks) flags |= batch.last_flags;
    V m[16];
    load_words(at, m);
    for (size_t i = 0; i < 16; ++i)
      at[i] += stride[i];
    Row a = h0;
    Row b = h1;
    Row c = {set1(kIv[0]), set1(kIv[1]), set1(kIv[2]), set1(kIv[3])};
    Row d = {_mm512_load_si512(counter_low), _mm512_load_si512(counter_high), set1(64),
             set1(flags)};
    round<0>(a, b, c, d, m);
    round<1>(a, b, c, d, m);
    round<2>(a, b, c, d, m);
    round<3>(a, b, c, d, m);
    round<4>(a, b, c, d, m);
    round<5>(a, b, c, d, m);
    round<6>(a, b, c, d, m);
    h0 = xor_rows(a, c);
    h1 = xor_rows(b, d);
  }
  store_row(h0, batch.out, batch.count);
  store_row(h1, batch.out + 16, batch.count);
}

}  // namespace gemmine::kernels::blake3_impl
