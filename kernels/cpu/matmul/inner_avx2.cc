// The int8 product for AVX2 without VNNI, and the packing that AVX-VNNI shares.
//
// vpmaddubsw multiplies unsigned by signed bytes and saturates the sum of two products at 16 bits.
// With a in [-64, 63] moved up by 64 no pair can: 2 * 127 * 128 < 2^15. So each group of rows is
// looked at first; a group with larger values takes the path of 16-bit products instead.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/cpu/matmul/kernels.h"

namespace gemmine::kernels {
namespace {

constexpr size_t kRows = 4;
constexpr size_t kGroupQuadBytes = kRows * kPackedQuad;
constexpr size_t kGroupQuads = 1024;  // of one group of rows on the stack: 16 KiB

inline __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
inline void store(void* to, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}
inline __m256i broadcast_quad(const void* bytes) {
  int32_t quad = 0;
  __builtin_memcpy(&quad, bytes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

// Copies one group of rows out of its panel, moved up by 64; false if some value does not allow it.
bool shift_group(const int8_t* a, size_t quads, uint8_t* shifted) {
  const __m128i offset = _mm_set1_epi8(64);
  __m128i seen = _mm_setzero_si128();
  for (size_t q = 0; q < quads; ++q) {
    const auto* from = reinterpret_cast<const __m128i*>(a + q * kPackedQuadBytes);
    const __m128i value = _mm_add_epi8(_mm_loadu_si128(from), offset);
    seen = _mm_or_si128(seen, value);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(shifted + q * kGroupQuadBytes), value);
  }
  return _mm_movemask_epi8(seen) == 0;
}

// kRows rows by one panel, 8-bit products; a as shift_group left it.
void tile_bytes(const TileJob& job, const uint8_t* a, const int8_t* b, const int32_t* b_sums,
                int32_t* c) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kRows][2];
#pragma GCC unroll 8
  for (size_t s = 0; s < 2; ++s) {
    const __m256i shift = _mm256_slli_epi32(load(b_sums + 8 * s), 6);
    const __m256i first = _mm256_sub_epi32(_mm256_setzero_si256(), shift);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      sums[r][s] = job.accumulate ? load(c + r * job.ldc + 8 * s) : first;
    }
  }
  for (size_t q = 0; q < job.quads; ++q) {
    const __m256i b0 = load(b + q * kPackedQuadBytes);
    const __m256i b1 = load(b + q * kPackedQuadBytes + 32);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const __m256i ar = broadcast_quad(a + q * kGroupQuadBytes + r * kPackedQuad);
      const __m256i pairs0 = _mm256_maddubs_epi16(ar, b0);
      const __m256i pairs1 = _mm256_maddubs_epi16(ar, b1);
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(pairs0, ones));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(pairs1, ones));
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t s = 0; s < 2; ++s)
      store(c + r * job.ldc + 8 * s, sums[r][s]);
  }
}

inline __m256i widen(const int8_t* bytes) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// Two rows by one panel, 16-bit products, any values. Each vector of sums holds, for 4 columns, the
// sums over the first and the second half of the quads side by side.
void tile_words(const TileJob& job, const int8_t* a, const int8_t* b, int32_t* c) {
  __m256i sums[2][4] = {};
  for (size_t q = 0; q < job.quads; ++q) {
    __m256i bs[4];
#pragma GCC unroll 8
    for (size_t s = 0; s < 4; ++s)
      bs[s] = widen(b + q * kPackedQuadBytes + 16 * s);
#pragma GCC unroll 8
    for (size_t r = 0; r < 2; ++r) {
      const __m256i quads = broadcast_quad(a + q * kPackedQuadBytes + r * kPackedQuad);
      const __m256i ar = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(quads));
#pragma GCC unroll 8
      for (size_t s = 0; s < 4; ++s) {
        sums[r][s] = _mm256_add_epi32(sums[r][s], _mm256_madd_epi16(ar, bs[s]));
      }
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < 2; ++r) {
#pragma GCC unroll 8
    for (size_t s = 0; s < 4; s += 2) {
      // hadd leaves columns 0 1 4 5 | 2 3 6 7.
      const __m256i pairs = _mm256_hadd_epi32(sums[r][s], sums[r][s + 1]);
      const __m256i eight = _mm256_permute4x64_epi64(pairs, 0xd8);
      int32_t* out = c + r * job.ldc + 4 * s;
      store(out, job.accumulate ? _mm256_add_epi32(load(out), eight) : eight);
    }
  }
}

void tile_rows(const TileJob& job, size_t row0) {
  const int8_t* a = job.a + row0 * kPackedQuad;
  alignas(32) uint8_t shifted[kGroupQuads * kGroupQuadBytes];
  const bool small = job.quads <= kGroupQuads && shift_group(a, job.quads, shifted);
  for (size_t panel = 0; panel < job.b_panels; ++panel) {
    const int8_t* b = job.b + panel * job.b_panel_bytes;
    int32_t* c = job.c + row0 * job.ldc + panel * kPackedLanes;
    if (small) {
      tile_bytes(job, shifted, b, job.b_sums + panel * kPackedLanes, c);
    } else {
      tile_words(job, a, b, c);
      tile_words(job, a + 2 * kPackedQuad, b, c + 2 * job.ldc);
    }
  }
}

void tile_avx2(const TileJob& job) {
  for (size_t row0 = 0; row0 < job.rows; row0 += kRows)
    tile_rows(job, row0);
}

inline __m256i quad_sums(__m256i quads) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), quads);
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// rows[i] holds quads 0..7 of outer index i; afterwards rows[q] holds quad q of indices 0..7.
inline void transpose_quads(__m256i (&rows)[8]) {
  __m256i t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    rows[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m256i low = rows[i];
    rows[i] = _mm256_permute2x128_si256(low, rows[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2x128_si256(low, rows[i + 4], 0x31);
  }
}

// Half a panel: 8 lanes whose k is contiguous. `half` is where its first quad goes.
void pack_half_by_k(const PackSource& source, size_t outer0, int8_t* half, size_t quads,
                    int32_t* sums) {
  const size_t left = source.outer > outer0 ? source.outer - outer0 : 0;
  const size_t outer = left < 8 ? left : 8;
  __m256i sum = _mm256_setzero_si256();
  for (size_t q0 = 0; q0 < quads; q0 += 8) {
    const size_t p = q0 * kPackedQuad;
    const size_t bytes = source.k - p < 32 ? source.k - p : 32;
    const int8_t* from = source.data + outer0 * source.outer_stride + p;
    size_t stride = source.outer_stride;
    int8_t edge[8 * 32];
    if (outer < 8 || bytes < 32) {
      __builtin_memset(edge, 0, sizeof edge);
      for (size_t i = 0; i < outer; ++i)
        __builtin_memcpy(edge + i * 32, from + i * stride, bytes);
      from = edge;
      stride = 32;
    }
    __m256i rows[8];
    for (size_t i = 0; i < 8; ++i)
      rows[i] = load(from + i * stride);
    transpose_quads(rows);
    for (size_t q = 0; q < 8; ++q) {
      if (q0 + q < quads) store(half + (q0 + q) * kPackedQuadBytes, rows[q]);
      sum = _mm256_add_epi32(sum, quad_sums(rows[q]));
    }
  }
  store(sums, sum);
}

// Two panels, or the first of them, of contiguous outer indices.
void pack_pair_by_outer(const PackSource& source, size_t outer0, int8_t* panels, size_t panel_bytes,
                        int32_t* sums) {
  const size_t outer = source.outer - outer0 < 32 ? source.outer - outer0 : 32;
  const size_t panel_count = outer > kPackedLanes ? 2 : 1;
  __m256i sum[2][2] = {};
  for (size_t p = 0; p < source.k; p += kPackedQuad) {
    const int8_t* from = source.data + outer0 + p * source.k_stride;
    size_t stride = source.k_stride;
    int8_t edge[4 * 32];
    if (outer < 32 || source.k - p < kPackedQuad) {
      __builtin_memset(edge, 0, sizeof edge);
      for (size_t b = 0; b < kPackedQuad && p + b < source.k; ++b) {
        __builtin_memcpy(edge + b * 32, from + b * stride, outer);
      }
      from = edge;
      stride = 32;
    }
    const __m256i row0 = load(from);
    const __m256i row1 = load(from + stride);
    const __m256i row2 = load(from + 2 * stride);
    const __m256i row3 = load(from + 3 * stride);
    const __m256i lo01 = _mm256_unpacklo_epi8(row0, row1);
    const __m256i hi01 = _mm256_unpackhi_epi8(row0, row1);
    const __m256i lo23 = _mm256_unpacklo_epi8(row2, row3);
    const __m256i hi23 = _mm256_unpackhi_epi8(row2, row3);
    // Half l of t<j> is lanes 4j .. 4j + 3 of panel l.
    const __m256i t0 = _mm256_unpacklo_epi16(lo01, lo23);
    const __m256i t1 = _mm256_unpackhi_epi16(lo01, lo23);
    const __m256i t2 = _mm256_unpacklo_epi16(hi01, hi23);
    const __m256i t3 = _mm256_unpackhi_epi16(hi01, hi23);
    const __m256i quad[2][2] = {
        {_mm256_permute2x128_si256(t0, t1, 0x20), _mm256_permute2x128_si256(t2, t3, 0x20)},
        {_mm256_permute2x128_si256(t0, t1, 0x31), _mm256_permute2x128_si256(t2, t3, 0x31)}};
    for (size_t l = 0; l < panel_count; ++l) {
      for (size_t h = 0; h < 2; ++h) {
        sum[l][h] = _mm256_add_epi32(sum[l][h], quad_sums(quad[l][h]));
        store(panels + l * panel_bytes + p * kPackedLanes + 32 * h, quad[l][h]);
      }
    }
  }
  for (size_t l = 0; l < panel_count; ++l) {
    for (size_t h = 0; h < 2; ++h)
      store(sums + l * kPackedLanes + 8 * h, sum[l][h]);
  }
}

void pack_avx2(const PackSource& source, int8_t* panels, size_t panel_bytes, int32_t* sums) {
  if (source.k_stride == 1) {
    for (size_t i = 0; i < source.outer; i += kPackedLanes) {
      int8_t* panel = panels + i / kPackedLanes * panel_bytes;
      pack_half_by_k(source, i, panel, panel_bytes / kPackedQuadBytes, sums + i);
      pack_half_by_k(source, i + 8, panel + 32, panel_bytes / kPackedQuadBytes, sums + i + 8);
    }
  } else if (source.outer_stride == 1) {
    for (size_t i = 0; i < source.outer; i += 2 * kPackedLanes) {
      pack_pair_by_outer(source, i, panels + i / kPackedLanes * panel_bytes, panel_bytes, sums + i);
    }
  } else {
    kMatmulPortable.pack(source, panels, panel_bytes, sums);
  }
}

}  // namespace

const MatmulKernels kMatmulAvx2 = {"avx2", pack_avx2, tile_avx2, nullptr, 0};

}  // namespace gemmine::kernels
#endif
