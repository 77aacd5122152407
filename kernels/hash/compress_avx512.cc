// BLAKE3 on sixteen inputs at once, lane i of every vector belonging to input i, or on two such
// sixteens side by side.
//
// One sixteen is a chain of dependent instructions that leaves half of the ports idle; the second
// fills them, 1.5 times the speed on Zen 5. The two states fill all 32 registers, so the words of
// the message stay in memory.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/hash/compress.h"

namespace gemmine::kernels::blake3_impl {
namespace {

using V = __m512i;
constexpr int kInputs = 16;

// Four words of the 4 x 4 state, each for sixteen inputs.
struct Row {
  V x0, x1, x2, x3;
};
template <int n>
struct States {
  Row a[n], b[n], c[n], d[n];
};

// Below, n is 1 or 2 sixteens. All is inlined by force, since only then g++ keeps rows in
// registers.
template <int n>
inline __attribute__((always_inline)) void add(Row (&x)[n], const Row (&y)[n]) {
#pragma GCC unroll 2
  for (int i = 0; i < n; ++i) {
    x[i] = {_mm512_add_epi32(x[i].x0, y[i].x0), _mm512_add_epi32(x[i].x1, y[i].x1),
            _mm512_add_epi32(x[i].x2, y[i].x2), _mm512_add_epi32(x[i].x3, y[i].x3)};
  }
}

template <int n>
inline __attribute__((always_inline)) void exclusive_or(Row (&x)[n], const Row (&y)[n]) {
#pragma GCC unroll 2
  for (int i = 0; i < n; ++i) {
    x[i] = {_mm512_xor_si512(x[i].x0, y[i].x0), _mm512_xor_si512(x[i].x1, y[i].x1),
            _mm512_xor_si512(x[i].x2, y[i].x2), _mm512_xor_si512(x[i].x3, y[i].x3)};
  }
}

template <int bits, int n>
inline __attribute__((always_inline)) void rotate(Row (&x)[n]) {
#pragma GCC unroll 2
  for (int i = 0; i < n; ++i) {
    x[i] = {_mm512_ror_epi32(x[i].x0, bits), _mm512_ror_epi32(x[i].x1, bits),
            _mm512_ror_epi32(x[i].x2, bits), _mm512_ror_epi32(x[i].x3, bits)};
  }
}

// In assembly, because a compiler keeps what it has loaded once in a register, and there is none.
inline __attribute__((always_inline)) void add_from_memory(V& x, const V& word) {
  asm("vpaddd %1, %0, %0" : "+v"(x) : "m"(word));
}

// Every second word of w[0..7].
template <int n>
inline __attribute__((always_inline)) void add_words(Row (&x)[n], const V (&m)[n][16],
                                                     const int* w) {
#pragma GCC unroll 2
  for (int i = 0; i < n; ++i) {
    add_from_memory(x[i].x0, m[i][w[0]]);
    add_from_memory(x[i].x1, m[i][w[2]]);
    add_from_memory(x[i].x2, m[i][w[4]]);
    add_from_memory(x[i].x3, m[i][w[6]]);
  }
}

template <int places, int n>
inline __attribute__((always_inline)) void turn(Row (&x)[n]) {
#pragma GCC unroll 2
  for (int i = 0; i < n; ++i) {
    const Row r = x[i];
    if constexpr (places == 1) x[i] = {r.x1, r.x2, r.x3, r.x0};
    if constexpr (places == 2) x[i] = {r.x2, r.x3, r.x0, r.x1};
    if constexpr (places == 3) x[i] = {r.x3, r.x0, r.x1, r.x2};
  }
}

// Four columns of every state at once.
template <int n>
inline __attribute__((always_inline)) void mix(States<n>& s, const V (&m)[n][16], const int* w) {
  add_words(s.a, m, w);
  add(s.a, s.b);
  exclusive_or(s.d, s.a);
  rotate<16>(s.d);
  add(s.c, s.d);
  exclusive_or(s.b, s.c);
  rotate<12>(s.b);
  add_words(s.a, m, w + 1);
  add(s.a, s.b);
  exclusive_or(s.d, s.a);
  rotate<8>(s.d);
  add(s.c, s.d);
  exclusive_or(s.b, s.c);
  rotate<7>(s.b);
}

template <int number, int n>
inline __attribute__((always_inline)) void round(States<n>& s, const V (&m)[n][16]) {
  mix(s, m, kSchedule[number]);
  // The diagonals are columns once the rows are turned; turning is only renaming.
  turn<1>(s.b);
  turn<2>(s.c);
  turn<3>(s.d);
  mix(s, m, kSchedule[number] + 8);
  turn<3>(s.b);
  turn<2>(s.c);
  turn<1>(s.d);
}

// Four 16-byte pieces from four inputs, side by side.
inline __attribute__((always_inline)) V gather_quarter(const uint8_t* a, const uint8_t* b,
                                                       const uint8_t* c, const uint8_t* d) {
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
inline __attribute__((always_inline)) void load_words(const uint8_t* const* at, V* m) {
#pragma GCC unroll 4
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
inline __attribute__((always_inline)) void store_row(Row row, const Lane* lanes, size_t count,
                                                     size_t at) {
  const V t0 = _mm512_unpacklo_epi32(row.x0, row.x1);
  const V t1 = _mm512_unpackhi_epi32(row.x0, row.x1);
  const V t2 = _mm512_unpacklo_epi32(row.x2, row.x3);
  const V t3 = _mm512_unpackhi_epi32(row.x2, row.x3);
  const V inputs[4] = {_mm512_unpacklo_epi64(t0, t2), _mm512_unpackhi_epi64(t0, t2),
                       _mm512_unpacklo_epi64(t1, t3), _mm512_unpackhi_epi64(t1, t3)};
  for (size_t i = 0; i < 4; ++i) {
    const auto put = [&](size_t input, __m128i value) {
      if (input >= count) return;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes[input].out + at), value);
    };
    put(i, _mm512_castsi512_si128(inputs[i]));
    put(i + 4, _mm512_extracti32x4_epi32(inputs[i], 1));
    put(i + 8, _mm512_extracti32x4_epi32(inputs[i], 2));
    put(i + 12, _mm512_extracti32x4_epi32(inputs[i], 3));
  }
}

inline __attribute__((always_inline)) V set1(uint32_t word) {
  return _mm512_set1_epi32(static_cast<int>(word));
}

template <int n>
void hash(const Batch& batch) {
  constexpr size_t kLanes = n * kInputs;
  const uint8_t* at[kLanes];
  size_t stride[kLanes];
  alignas(64) uint32_t counter_low[kLanes];
  alignas(64) uint32_t counter_high[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    const Lane& lane = batch.lanes[i < batch.count ? i : 0];  // Idle lanes repeat the first.
    at[i] = lane.at;
    stride[i] = lane.stride;
    counter_low[i] = static_cast<uint32_t>(lane.counter);
    counter_high[i] = static_cast<uint32_t>(lane.counter >> 32);
  }
  Row h0[n];
  Row h1[n];
  const uint32_t* k = batch.key;
  for (int i = 0; i < n; ++i) {
    h0[i] = {set1(k[0]), set1(k[1]), set1(k[2]), set1(k[3])};
    h1[i] = {set1(k[4]), set1(k[5]), set1(k[6]), set1(k[7])};
  }
  for (size_t block = 0; block < batch.blocks; ++block) {
    const bool last = block + 1 == batch.blocks;
    const uint32_t flags =
        batch.flags | (block == 0 ? batch.first_flags : 0) | (last ? batch.last_flags : 0);
    V m[n][16];
    States<n> s;
#pragma GCC unroll 2
    for (int i = 0; i < n; ++i) {
      load_words(at + i * kInputs, m[i]);
      s.a[i] = h0[i];
      s.b[i] = h1[i];
      s.c[i] = {set1(kIv[0]), set1(kIv[1]), set1(kIv[2]), set1(kIv[3])};
      s.d[i] = {_mm512_load_si512(counter_low + i * kInputs),
                _mm512_load_si512(counter_high + i * kInputs), set1(last ? batch.last_bytes : 64),
                set1(flags)};
    }
    for (size_t i = 0; i < kLanes; ++i) {
      if (batch.ahead > 0) {
        _mm_prefetch(reinterpret_cast<const char*>(at[i]) + batch.ahead, _MM_HINT_T0);
      }
      at[i] += stride[i];
    }
    round<0>(s, m);
    round<1>(s, m);
    round<2>(s, m);
    round<3>(s, m);
    round<4>(s, m);
    round<5>(s, m);
    round<6>(s, m);
    exclusive_or(s.a, s.c);
    exclusive_or(s.b, s.d);
#pragma GCC unroll 2
    for (int i = 0; i < n; ++i) {
      h0[i] = s.a[i];
      h1[i] = s.b[i];
    }
  }
  for (size_t i = 0; i < n && i * kInputs < batch.count; ++i) {
    store_row(h0[i], batch.lanes + i * kInputs, batch.count - i * kInputs, 0);
    store_row(h1[i], batch.lanes + i * kInputs, batch.count - i * kInputs, 16);
  }
}

}  // namespace

void hash_lanes_avx512(const Batch& batch) {
  if (batch.count > kInputs) {
    hash<2>(batch);
  } else {
    hash<1>(batch);
  }
}

}  // namespace gemmine::kernels::blake3_impl
#endif
