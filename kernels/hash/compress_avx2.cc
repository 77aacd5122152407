// BLAKE3 on eight inputs at once: lane i of every vector belongs to input i.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/hash/compress.h"

namespace gemmine::kernels::blake3_impl {
namespace {

using V = __m256i;

// Four words of the 4 x 4 state, each for eight inputs; a row at a time keeps four chains busy.
struct Row {
  V x0, x1, x2, x3;
};

inline Row add(Row a, Row b) {
  return {_mm256_add_epi32(a.x0, b.x0), _mm256_add_epi32(a.x1, b.x1), _mm256_add_epi32(a.x2, b.x2),
          _mm256_add_epi32(a.x3, b.x3)};
}

inline Row xor_rows(Row a, Row b) {
  return {_mm256_xor_si256(a.x0, b.x0), _mm256_xor_si256(a.x1, b.x1), _mm256_xor_si256(a.x2, b.x2),
          _mm256_xor_si256(a.x3, b.x3)};
}

// The state fills all sixteen registers. What else wants one is kept out of them by hand: left
// alone the compiler evicts words that the very next operation waits for.
alignas(32) constexpr uint8_t kTurn16[32] = {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                                             2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
alignas(32) constexpr uint8_t kTurn8[32] = {1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12,
                                            1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12};

inline V shuffle_from_memory(V x, const uint8_t (&order)[32]) {
  V result;
  asm("vpshufb %2, %1, %0" : "=x"(result) : "x"(x), "m"(order));
  return result;
}

inline void keep_in_memory(V& word) {
  asm("" : "+m"(word));
}

// The compiler would add x to b, which comes last, and not to a, which is there.
inline V add_first(V a, V x) {
  V sum = _mm256_add_epi32(a, x);
  asm("" : "+x"(sum));
  return sum;
}

// Whole bytes turn in one shuffle, other counts take two shifts.
template <int kBits>
inline V rotate(V x) {
  if constexpr (kBits == 16) {
    return shuffle_from_memory(x, kTurn16);
  } else if constexpr (kBits == 8) {
    return shuffle_from_memory(x, kTurn8);
  } else {
    return _mm256_or_si256(_mm256_srli_epi32(x, kBits), _mm256_slli_epi32(x, 32 - kBits));
  }
}

template <int kBits>
inline Row xor_rotate(Row a, Row b) {
  const Row x = xor_rows(a, b);
  return {rotate<kBits>(x.x0), rotate<kBits>(x.x1), rotate<kBits>(x.x2), rotate<kBits>(x.x3)};
}

// Of c nobody wants this word for a while.
template <int kBits>
inline Row xor_turn(Row b, Row& c) {
  const Row x = xor_rows(b, c);
  keep_in_memory(c.x3);
  return {rotate<kBits>(x.x0), rotate<kBits>(x.x1), rotate<kBits>(x.x2), rotate<kBits>(x.x3)};
}

inline Row add_message(Row a, Row x, Row b) {
  const Row sum = {add_first(a.x0, x.x0), add_first(a.x1, x.x1), add_first(a.x2, x.x2),
                   add_first(a.x3, x.x3)};
  return add(sum, b);
}

inline void mix(Row& a, Row& b, Row& c, Row& d, Row x, Row y) {
  a = add_message(a, x, b);
  d = xor_rotate<16>(d, a);
  c = add(c, d);
  b = xor_turn<12>(b, c);
  a = add_message(a, y, b);
  d = xor_rotate<8>(d, a);
  c = add(c, d);
  b = xor_turn<7>(b, c);
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

inline V gather_half(const uint8_t* a, const uint8_t* b) {
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), 1);
}

// Rows of four words in, columns out, in each half by itself; its own inverse.
inline Row transpose_halves(Row r) {
  const V t0 = _mm256_unpacklo_epi32(r.x0, r.x1);
  const V t1 = _mm256_unpackhi_epi32(r.x0, r.x1);
  const V t2 = _mm256_unpacklo_epi32(r.x2, r.x3);
  const V t3 = _mm256_unpackhi_epi32(r.x2, r.x3);
  return {_mm256_unpacklo_epi64(t0, t2), _mm256_unpackhi_epi64(t0, t2),
          _mm256_unpacklo_epi64(t1, t3), _mm256_unpackhi_epi64(t1, t3)};
}

// m[w] gets word w of the current block of all eight inputs. The loads place inputs i and i+4 in
// the two halves, so only in-half transposes are left to do.
inline void load_words(const uint8_t* const* at, V* m) {
  for (int q = 0; q < 4; ++q) {
    const int o = q * 16;
    const Row words =
        transpose_halves({gather_half(at[0] + o, at[4] + o), gather_half(at[1] + o, at[5] + o),
                          gather_half(at[2] + o, at[6] + o), gather_half(at[3] + o, at[7] + o)});
    m[4 * q + 0] = words.x0;
    m[4 * q + 1] = words.x1;
    m[4 * q + 2] = words.x2;
    m[4 * q + 3] = words.x3;
  }
}

inline void store_row(Row row, const Batch& batch, size_t at) {
  const Row t = transpose_halves(row);
  const V inputs[4] = {t.x0, t.x1, t.x2, t.x3};
  for (size_t i = 0; i < 4; ++i) {
    const auto put = [&](size_t input, __m128i value) {
      if (input >= batch.count) return;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(batch.lanes[input].out + at), value);
    };
    put(i, _mm256_castsi256_si128(inputs[i]));
    put(i + 4, _mm256_extracti128_si256(inputs[i], 1));
  }
}

inline V set1(uint32_t word) {
  return _mm256_set1_epi32(static_cast<int>(word));
}

}  // namespace

void hash_lanes_avx2(const Batch& batch) {
  const uint8_t* at[8];
  size_t stride[8];
  alignas(32) uint32_t counter_low[8];
  alignas(32) uint32_t counter_high[8];
  for (size_t i = 0; i < 8; ++i) {
    const Lane& lane = batch.lanes[i < batch.count ? i : 0];  // Idle lanes repeat the first.
    at[i] = lane.at;
    stride[i] = lane.stride;
    counter_low[i] = static_cast<uint32_t>(lane.counter);
    counter_high[i] = static_cast<uint32_t>(lane.counter >> 32);
  }
  const uint32_t* k = batch.key;
  Row h0 = {set1(k[0]), set1(k[1]), set1(k[2]), set1(k[3])};
  Row h1 = {set1(k[4]), set1(k[5]), set1(k[6]), set1(k[7])};
  for (size_t block = 0; block < batch.blocks; ++block) {
    const bool last = block + 1 == batch.blocks;
    uint32_t flags = batch.flags;
    if (block == 0) flags |= batch.first_flags;
    if (last) flags |= batch.last_flags;
    V m[16];
    load_words(at, m);
    for (size_t i = 0; i < 8; ++i) {
      if (batch.ahead > 0)
        _mm_prefetch(reinterpret_cast<const char*>(at[i]) + batch.ahead, _MM_HINT_T0);
      at[i] += stride[i];
    }
    Row a = h0;
    Row b = h1;
    Row c = {set1(kIv[0]), set1(kIv[1]), set1(kIv[2]), set1(kIv[3])};
    Row d = {_mm256_load_si256(reinterpret_cast<const __m256i*>(counter_low)),
             _mm256_load_si256(reinterpret_cast<const __m256i*>(counter_high)),
             set1(last ? batch.last_bytes : 64), set1(flags)};
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
  store_row(h0, batch, 0);
  store_row(h1, batch, 16);
}

}  // namespace gemmine::kernels::blake3_impl
#endif
