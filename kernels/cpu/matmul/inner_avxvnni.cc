// The int8 product for AVX-VNNI, vpdpbusd on 256 bits: 4 x 24 results in registers.
//
// a is moved up by 128 to be the unsigned side, so sums begin at -128 * (sum of the row of b).
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/cpu/matmul/kernels.h"

namespace gemmine::kernels {
namespace {

constexpr size_t kRows = 4;
constexpr size_t kGroupQuadBytes = kRows * kPackedQuad;
constexpr size_t kGroupQuads = 256;  // of one group of rows on the stack: 4 KiB

inline __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// Where lanes 8 * half .. 8 * half + 7 of the panels of b begin.
inline const int8_t* half_panel(const TileJob& job, size_t half) {
  return job.b + half / 2 * job.b_panel_bytes + half % 2 * 32;
}

// kRows rows of `shifted` by kHalves half panels from `half` on, over quads [quad0, quad0 + quads).
template <size_t kHalves>
void tile_halves(const TileJob& job, const uint8_t* shifted, size_t row0, size_t half, size_t quad0,
                 size_t quads) {
  const int8_t* b[kHalves];
  __m256i sums[kRows][kHalves];
#pragma GCC unroll 8
  for (size_t s = 0; s < kHalves; ++s) {
    b[s] = half_panel(job, half + s) + quad0 * kPackedQuadBytes;
    const __m256i shift = _mm256_slli_epi32(load(job.b_sums + 8 * (half + s)), 7);
    const __m256i first = _mm256_sub_epi32(_mm256_setzero_si256(), shift);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const int32_t* c = job.c + (row0 + r) * job.ldc + 8 * (half + s);
      sums[r][s] = job.accumulate || quad0 > 0 ? load(c) : first;
    }
  }
  for (size_t q = 0; q < quads; ++q) {
    __m256i bs[kHalves];
#pragma GCC unroll 8
    for (size_t s = 0; s < kHalves; ++s)
      bs[s] = load(b[s] + q * kPackedQuadBytes);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      int32_t quad = 0;
      __builtin_memcpy(&quad, shifted + q * kGroupQuadBytes + r * kPackedQuad, sizeof quad);
      const __m256i ar = _mm256_set1_epi32(quad);
#pragma GCC unroll 8
      for (size_t s = 0; s < kHalves; ++s) {
        sums[r][s] = _mm256_dpbusd_avx_epi32(sums[r][s], ar, bs[s]);
      }
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t s = 0; s < kHalves; ++s) {
      int32_t* c = job.c + (row0 + r) * job.ldc + 8 * (half + s);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), sums[r][s]);
    }
  }
}

void tile_rows(const TileJob& job, size_t row0, size_t quad0, size_t quads) {
  alignas(32) uint8_t shifted[kGroupQuads * kGroupQuadBytes];
  const __m128i offset = _mm_set1_epi8(-128);
  const int8_t* a = job.a + quad0 * kPackedQuadBytes + row0 * kPackedQuad;
  for (size_t q = 0; q < quads; ++q) {
    const auto* from = reinterpret_cast<const __m128i*>(a + q * kPackedQuadBytes);
    _mm_store_si128(reinterpret_cast<__m128i*>(shifted + q * kGroupQuadBytes),
                    _mm_xor_si128(_mm_loadu_si128(from), offset));
  }
  const size_t halves = 2 * job.b_panels;
  size_t half = 0;
  for (; half + 3 <= halves; half += 3)
    tile_halves<3>(job, shifted, row0, half, quad0, quads);
  if (halves - half == 2) tile_halves<2>(job, shifted, row0, half, quad0, quads);
  if (halves - half == 1) tile_halves<1>(job, shifted, row0, half, quad0, quads);
}

void tile_avxvnni(const TileJob& job) {
  for (size_t row0 = 0; row0 < job.rows; row0 += kRows) {
    size_t quad0 = 0;
    do {
      const size_t left = job.quads - quad0;
      const size_t quads = left < kGroupQuads ? left : kGroupQuads;
      tile_rows(job, row0, quad0, quads);
      quad0 += quads;
    } while (quad0 < job.quads);
  }
}

void pack_avxvnni(const PackSource& source, int8_t* panels, size_t panel_bytes, int32_t* sums) {
  kMatmulAvx2.pack(source, panels, panel_bytes, sums);
}

}  // namespace

const MatmulKernels kMatmulAvxVnni = {"avxvnni", pack_avxvnni, tile_avxvnni, nullptr, 0};

}  // namespace gemmine::kernels
#endif
