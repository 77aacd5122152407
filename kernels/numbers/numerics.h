// Numerics GN-1 (PROTOCOL 2): rounding, scales, exp, log and sums that have one answer everywhere.
//
// Every function is static, so that a file compiled for a wide instruction set keeps its own copy
// and the linker can never hand that copy to a narrower one.
#pragma once

#include <cfloat>
#include <cstddef>
#include <cstdint>

#include "kernels/base/hd.h"

#if defined(__FAST_MATH__)
#error "GN-1 is IEEE-754: build without -ffast-math"
#endif

namespace gemmine::kernels {

static_assert(FLT_EVAL_METHOD == 0, "GN-1 rounds every operation to binary32");

inline constexpr int kQuantMax = 63;
// Bits of infinity: an absmax (2.3) at or above it has met a NaN or an infinity (2.1).
inline constexpr uint32_t kNotFinite = 0x7f800000;
inline constexpr size_t kSumLanes = 32;
inline constexpr size_t kLongSumBlock = 4096;
inline constexpr size_t kColumnSumRun = 32;

GEMMINE_HD static inline uint32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  return __builtin_bit_cast(uint32_t, x);
#endif
}
GEMMINE_HD static inline float float_of(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return __builtin_bit_cast(float, bits);
#endif
}

// Correctly rounded, as IEEE-754 demands; an instruction, never a libm of unknown quality.
GEMMINE_HD static inline float square_root(float x) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

// |x| as bits; comparing these as unsigned orders magnitudes and puts NaN above all.
GEMMINE_HD static inline uint32_t magnitude(float x) {
  return bits_of(x) & 0x7fffffffU;
}

// PROTOCOL 2.2, for |x| < 2^22.
GEMMINE_HD static inline int32_t rni(float x) {
  return static_cast<int32_t>(bits_of(x + 0x1.8p23F) - 0x4B400000U);
}

struct Scale {
  float s;
  float inv;
};
// PROTOCOL 2.3, from the bits of the group's absmax, which must be finite.
GEMMINE_HD static inline Scale scale_of(uint32_t absmax) {
  const float a = float_of(absmax);
  if (a <= 0x1p-100F) return {0.0F, 0.0F};
  const float s = a / 63.0F;
  return {s, 1.0F / s};
}

GEMMINE_HD static inline int32_t clamp_quant(int32_t q) {
  q = q < -kQuantMax ? -kQuantMax : q;
  return q > kQuantMax ? kQuantMax : q;
}
// PROTOCOL 2.4.
GEMMINE_HD static inline int8_t round_nearest(float v, float inv) {
  return static_cast<int8_t>(clamp_quant(rni(v * inv)));
}
GEMMINE_HD static inline int8_t round_stochastic(float v, float inv, uint32_t u) {
  // Unsigned, since the scale of a stranger's opening can make this wrap.
  const uint32_t fixed = static_cast<uint32_t>(rni((v * inv) * 65536.0F)) + u;
  return static_cast<int8_t>(clamp_quant(static_cast<int32_t>(fixed) >> 16));
}

// PROTOCOL 2.6. Within 1 ulp of e^x for −87 ≤ x ≤ 88; clamped outside.
GEMMINE_HD static inline float gn_exp(float x) {
  x = x > 88.0F ? 88.0F : x;
  x = x < -87.0F ? -87.0F : x;
  const int32_t n = rni(x * 0x1.715476p+0F);
  const auto f = static_cast<float>(n);
  const float r = (x - f * 0x1.63p-1F) + f * 0x1.bd0106p-13F;
  float p = 0x1.a0d2cep-13F;
  p = p * r + 0x1.6e879cp-10F;
  p = p * r + 0x1.11121p-7F;
  p = p * r + 0x1.555382p-5F;
  p = p * r + 0x1.555554p-3F;
  p = p * r + 0x1p-1F;
  const float y = (p * (r * r) + r) + 1.0F;
  return y * float_of(static_cast<uint32_t>(n + 127) << 23);
}

// PROTOCOL 2.7, for normal x > 0. Within 1 ulp.
GEMMINE_HD static inline float gn_log(float x) {
  int32_t e = static_cast<int32_t>(bits_of(x) >> 23) - 126;
  float m = float_of((bits_of(x) & 0x007fffffU) | 0x3f000000U);
  if (m < 0x1.6a09e6p-1F) {
    e = e - 1;
    m = (m + m) - 1.0F;
  } else {
    m = m - 1.0F;
  }
  const float z = m * m;
  float p = 0x1.204376p-4F;
  p = p * m - 0x1.d7a37p-4F;
  p = p * m + 0x1.de4a34p-4F;
  p = p * m - 0x1.fcba9ep-4F;
  p = p * m + 0x1.23d37ep-3F;
  p = p * m - 0x1.555cap-3F;
  p = p * m + 0x1.999d58p-3F;
  p = p * m - 0x1.fffff8p-3F;
  p = p * m + 0x1.555554p-2F;
  float y = (p * m) * z;
  y = y - static_cast<float>(e) * 0x1.bd0106p-13F;
  y = y - 0.5F * z;
  y = m + y;
  return y + static_cast<float>(e) * 0x1.63p-1F;
}

// PROTOCOL 2.8.
GEMMINE_HD static inline float rowsum(const float* x, size_t count) {
  float lane[kSumLanes];
  for (size_t l = 0; l < kSumLanes; ++l)
    lane[l] = 0.0F;
  size_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) {
    for (size_t l = 0; l < kSumLanes; ++l)
      lane[l] += x[i + l];
  }
  for (size_t l = 0; i + l < count; ++l)
    lane[l] += x[i + l];
  for (size_t s = kSumLanes / 2; s > 0; s /= 2) {
    for (size_t l = 0; l < s; ++l)
      lane[l] += lane[l + s];
  }
  return lane[0];
}

// One column: element t is x[t * stride].
GEMMINE_HD static inline float colsum(const float* x, size_t rows, size_t stride) {
  float acc = 0.0F;
  for (size_t first = 0; first < rows; first += kColumnSumRun) {
    float p = 0.0F;
    for (size_t t = first; t < rows && t < first + kColumnSumRun; ++t)
      p += x[t * stride];
    acc += p;
  }
  return acc;
}

// Host only: it needs memory for the sums of blocks.
float longsum(const float* x, size_t count);

}  // namespace gemmine::kernels
