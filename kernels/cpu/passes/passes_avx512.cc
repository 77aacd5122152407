#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/numbers/philox.h"

#define GEMMINE_PASSES avx512_passes
#define GEMMINE_STOCHASTIC_GROUP

namespace gemmine::kernels::GEMMINE_PASSES {

// stochastic_group of passes_body.h. A word fills the lower half of a 64-bit lane; what the upper
// half holds is never read, since vpmuludq multiplies lower halves. g++ does not know that and
// clears it in every round.
static void stochastic_group(const StochasticKey& key, uint32_t first_counter,
                             uint32_t* __restrict u) {
  const __m512i mul0 = _mm512_set1_epi64(kPhiloxMul0);
  const __m512i mul1 = _mm512_set1_epi64(kPhiloxMul1);
  __m512i c[2][4];
  for (int half = 0; half < 2; ++half) {
    const __m512i lane =
        _mm512_add_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64(8 * half));
    c[half][0] = _mm512_add_epi64(lane, _mm512_set1_epi64(first_counter));
    c[half][1] = _mm512_set1_epi64(key.tensor_id);
    c[half][2] = _mm512_set1_epi64(key.step_id);
    c[half][3] = _mm512_set1_epi64(kPurposeStochastic);
  }
  auto k0 = static_cast<uint32_t>(key.seed);
  auto k1 = static_cast<uint32_t>(key.seed >> 32);
  constexpr int kXor3 = 0x96;
#pragma GCC unroll 8
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const __m512i key0 = _mm512_set1_epi64(k0);
    const __m512i key1 = _mm512_set1_epi64(k1);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m512i p0 = _mm512_mul_epu32(mul0, c[half][0]);
      const __m512i p1 = _mm512_mul_epu32(mul1, c[half][2]);
      c[half][0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c[half][1], key0, kXor3);
      c[half][1] = p1;
      c[half][2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c[half][3], key1, kXor3);
      c[half][3] = p0;
    }
    k0 += kPhiloxKey0;
    k1 += kPhiloxKey1;
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m256i low = _mm512_cvtepi64_epi32(c[0][j]);
    const __m512i words =
        _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm512_cvtepi64_epi32(c[1][j]), 1);
    _mm512_storeu_si512(u + j * kStochasticLanes,
                        _mm512_and_si512(words, _mm512_set1_epi32(0xffff)));
    _mm512_storeu_si512(u + 64 + j * kStochasticLanes, _mm512_srli_epi32(words, 16));
  }
}

}  // namespace gemmine::kernels::GEMMINE_PASSES

#include "kernels/cpu/passes/passes_body.h"

namespace gemmine::kernels {

constexpr Passes kPassesAvx512 = avx512_passes::kAll;

}  // namespace gemmine::kernels
#endif
