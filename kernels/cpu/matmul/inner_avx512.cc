// The int8 product for AVX-512 VNNI: 8 x 48 results in registers.
//
// vpdpbusd multiplies unsigned by signed bytes. Bytes of b are moved up by 128 when they are packed
// (not when they are loaded: on Intel that takes a port from the products, 11 % of them), so sums
// begin at -128 * (sum of the row of a).
// The unrolling is asked for, because without it g++ keeps the sums in memory: 4 times slower.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/cpu/matmul/kernels.h"

namespace gemmine::kernels {
namespace {

constexpr int kRows = 8;
constexpr size_t kFetchedAhead = 32;  // of k, when the outer index is contiguous
constexpr uint8_t kUp128 = 0x80;

inline int32_t load_quad(const int8_t* bytes) {
  int32_t quad = 0;
  __builtin_memcpy(&quad, bytes, sizeof quad);
  return quad;
}

// kRows rows, beginning at one of the halves of the panel of a, by kPanels panels of b.
template <int kPanels>
void tile_half(const TileJob& job, size_t row0, const int8_t* b, int32_t* c) {
  __m512i sums[kRows][kPanels];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512i row_sum = _mm512_set1_epi32(job.a_sums[row0 + r]);
    const __m512i first = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(row_sum, 7));
#pragma GCC unroll 8
    for (int s = 0; s < kPanels; ++s) {
      sums[r][s] = job.accumulate ? _mm512_loadu_si512(c + r * job.ldc + s * kPackedLanes) : first;
    }
  }
  const size_t row = job.a_row_bytes;
  const int8_t* a = job.a + row0 * row;
  const int8_t* a_next = job.a_next + row0 * row;
  for (size_t q = 0; q < job.quads; ++q) {
    __m512i bs[kPanels];
#pragma GCC unroll 8
    for (int s = 0; s < kPanels; ++s) {
      bs[s] = _mm512_loadu_si512(b + s * job.b_panel_bytes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i ar = _mm512_set1_epi32(load_quad(a + r * row));
#pragma GCC unroll 8
      for (int s = 0; s < kPanels; ++s)
        sums[r][s] = _mm512_dpbusd_epi32(sums[r][s], bs[s], ar);
    }
    _mm_prefetch(reinterpret_cast<const char*>(a_next), _MM_HINT_T1);
    a_next += job.a_quad_bytes;
    a += job.a_quad_bytes;
    b += kPackedQuadBytes;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int s = 0; s < kPanels; ++s) {
      _mm512_storeu_si512(c + r * job.ldc + s * kPackedLanes, sums[r][s]);
    }
  }
}

template <int kPanels>
void tile_panels(const TileJob& job, size_t panel) {
  const int8_t* b = job.b + panel * job.b_panel_bytes;
  for (size_t row0 = 0; row0 < job.rows; row0 += kRows) {
    tile_half<kPanels>(job, row0, b, job.c + row0 * job.ldc + panel * kPackedLanes);
  }
}

void tile_avx512(const TileJob& job) {
  size_t panel = 0;
  for (; panel + 3 <= job.b_panels; panel += 3)
    tile_panels<3>(job, panel);
  if (job.b_panels - panel == 2) tile_panels<2>(job, panel);
  if (job.b_panels - panel == 1) tile_panels<1>(job, panel);
}

// rows[i] holds quads 0..15 of outer index i; afterwards rows[q] holds quad q of indices 0..15.
inline void transpose_quads(__m512i (&rows)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now 4 x 4 blocks of 128 bits: block (i / 4, lane) of rows[i] goes to (lane, i / 4).
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// Rows are too short, and too far apart, for the processor to guess what is wanted next. Addresses
// behind the operand are asked for too, which reads nothing.
inline void fetch(const int8_t* data, size_t bytes_ahead) {
  _mm_prefetch(reinterpret_cast<const char*>(data) + bytes_ahead, _MM_HINT_T1);
}

// One panel of at most 16 outer indices whose k is contiguous.
void pack_panel_by_k(const PackSource& source, size_t outer0, int8_t* panel, size_t panel_bytes,
                     int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(source.flip));
  const size_t left = source.outer - outer0;
  const size_t outer = left < kPackedLanes ? left : kPackedLanes;
  const int8_t* data = source.data + outer0 * source.outer_stride;
  __m512i sum = _mm512_setzero_si512();
  for (size_t p = 0; p < source.k; p += 64) {
    const size_t bytes = source.k - p < 64 ? source.k - p : 64;
    const __mmask64 mask = ~__mmask64{0} >> (64 - bytes);
    __m512i rows[16];
    if (outer == kPackedLanes && bytes == 64) {
      for (int i = 0; i < 16; ++i) {
        rows[i] = _mm512_loadu_si512(data + i * source.outer_stride + p);
        fetch(data + i * source.outer_stride + p, kPackedLanes * source.outer_stride);
      }
    } else {
      for (size_t i = 0; i < 16; ++i) {
        rows[i] = i < outer ? _mm512_maskz_loadu_epi8(mask, data + i * source.outer_stride + p)
                            : _mm512_setzero_si512();
      }
    }
    transpose_quads(rows);
    int8_t* out = panel + p * kPackedLanes;
    for (size_t q = 0; q < 16; ++q) {
      if (out + q * kPackedQuadBytes < panel + panel_bytes) {
        _mm512_storeu_si512(out + q * kPackedQuadBytes, _mm512_xor_si512(rows[q], flip));
      }
      sum = _mm512_dpbusd_epi32(sum, ones, rows[q]);
    }
  }
  _mm512_storeu_si512(sums, sum);
}

// Up to 4 panels of contiguous outer indices: 4 rows of 64 bytes become one quad of each panel.
void pack_strip_by_outer(const PackSource& source, int8_t* panels, size_t panel_bytes,
                         int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(source.flip));
  const __mmask64 mask = ~__mmask64{0} >> (64 - source.outer);
  const size_t panel_count = (source.outer + kPackedLanes - 1) / kPackedLanes;
  __m512i sum[4] = {};
  for (size_t p = 0; p < source.k; p += kPackedQuad) {
    __m512i rows[4];
    for (size_t b = 0; b < kPackedQuad; ++b) {
      rows[b] = p + b < source.k
                    ? _mm512_maskz_loadu_epi8(mask, source.data + (p + b) * source.k_stride)
                    : _mm512_setzero_si512();
      fetch(source.data + (p + b) * source.k_stride, kFetchedAhead * source.k_stride);
    }
    const __m512i lo01 = _mm512_unpacklo_epi8(rows[0], rows[1]);
    const __m512i hi01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i lo23 = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i hi23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
    // 128-bit block l of t[j] is lanes 4j .. 4j + 3 of panel l.
    const __m512i t[4] = {_mm512_unpacklo_epi16(lo01, lo23), _mm512_unpackhi_epi16(lo01, lo23),
                          _mm512_unpacklo_epi16(hi01, hi23), _mm512_unpackhi_epi16(hi01, hi23)};
    const __m512i even01 = _mm512_shuffle_i32x4(t[0], t[1], 0x88);
    const __m512i odd01 = _mm512_shuffle_i32x4(t[0], t[1], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(t[2], t[3], 0x88);
    const __m512i odd23 = _mm512_shuffle_i32x4(t[2], t[3], 0xdd);
    const __m512i quad[4] = {
        _mm512_shuffle_i32x4(even01, even23, 0x88), _mm512_shuffle_i32x4(odd01, odd23, 0x88),
        _mm512_shuffle_i32x4(even01, even23, 0xdd), _mm512_shuffle_i32x4(odd01, odd23, 0xdd)};
    for (size_t l = 0; l < 4; ++l) {
      sum[l] = _mm512_dpbusd_epi32(sum[l], ones, quad[l]);
      if (l < panel_count) {
        _mm512_storeu_si512(panels + l * panel_bytes + p * kPackedLanes,
                            _mm512_xor_si512(quad[l], flip));
      }
    }
  }
  for (size_t l = 0; l < panel_count; ++l)
    _mm512_storeu_si512(sums + l * kPackedLanes, sum[l]);
}

void pack_avx512(const PackSource& source, int8_t* panels, size_t panel_bytes, int32_t* sums) {
  if (source.k_stride == 1) {
    for (size_t i = 0; i < source.outer; i += kPackedLanes) {
      pack_panel_by_k(source, i, panels + i / kPackedLanes * panel_bytes, panel_bytes, sums + i);
    }
  } else if (source.outer_stride == 1) {
    pack_strip_by_outer(source, panels, panel_bytes, sums);
  } else {
    kMatmulPortable.pack(source, panels, panel_bytes, sums);
  }
}

void row_sums_avx512(const int8_t* data, size_t stride, size_t rows, size_t k, int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  for (size_t i = 0; i < rows; ++i) {
    const int8_t* row = data + i * stride;
    __m512i even = _mm512_setzero_si512();
    __m512i odd = _mm512_setzero_si512();
    size_t p = 0;
    for (; p + 128 <= k; p += 128) {
      even = _mm512_dpbusd_epi32(even, ones, _mm512_loadu_si512(row + p));
      odd = _mm512_dpbusd_epi32(odd, ones, _mm512_loadu_si512(row + p + 64));
    }
    for (; p < k; p += 64) {
      const __mmask64 mask = k - p < 64 ? ~__mmask64{0} >> (64 - (k - p)) : ~__mmask64{0};
      even = _mm512_dpbusd_epi32(even, ones, _mm512_maskz_loadu_epi8(mask, row + p));
    }
    sums[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
  }
}

}  // namespace

const MatmulKernels kMatmulAvx512 = {"avx512", pack_avx512, tile_avx512, row_sums_avx512, kUp128};

}  // namespace gemmine::kernels
#endif
