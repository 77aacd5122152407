// What a gpt does with one row or one number (PROTOCOL 10.3 to 10.6): reference, CPU, CUDA and
// verifier share it.
//
// Every function is static for the reason that numerics.h gives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/hd.h"
#include "kernels/numbers/choices.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

inline constexpr float kGeluScale = 0x1.988454p+0F;  // 2·√(2/π)
inline constexpr float kGeluCube = 0x1.6e4e26p-5F;   // 0.044715
inline constexpr float kGeluCube3 = 0x1.12ba9ep-3F;
inline constexpr float kNormEpsilon = 0x1.4f8b58p-17F;

GEMMINE_HD static inline float gn_sigmoid(float z) {
  return 1.0F / (1.0F + gn_exp(0.0F - z));
}

struct Activated {
  float value;
  float slope;
};
// PROTOCOL 10.3.
GEMMINE_HD static inline Activated activate(Activation activation, float x) {
  if (activation == Activation::silu) {
    const float s = gn_sigmoid(x);
    return {x * s, s + (x * s) * (1.0F - s)};
  }
  const float q = x * x;
  const float z = (x + (q * x) * kGeluCube) * kGeluScale;
  const float s = gn_sigmoid(z);
  return {x * s, s + (x * s) * ((1.0F - s) * (kGeluScale * (1.0F + q * kGeluCube3)))};
}

// r of 10.3, from rowsum(c·c).
GEMMINE_HD static inline float norm_rate(float squares, size_t count) {
  const float w = 1.0F / static_cast<float>(count);
  return 1.0F / square_root(squares * w + kNormEpsilon);
}

// x̂ of a row and its r. x and normed have `count` floats; scratch too. In place is allowed.
GEMMINE_HD static inline float normalise_row(Norm norm, const float* x, size_t count,
                                             float* scratch, float* normed) {
  const float mean =
      norm == Norm::layer ? rowsum(x, count) * (1.0F / static_cast<float>(count)) : 0.0F;
  for (size_t c = 0; c < count; ++c) {
    normed[c] = norm == Norm::layer ? x[c] - mean : x[c];
    scratch[c] = normed[c] * normed[c];
  }
  const float r = norm_rate(rowsum(scratch, count), count);
  for (size_t c = 0; c < count; ++c)
    normed[c] = normed[c] * r;
  return r;
}

// The norm's value of x̂; shift is null for RMSNorm.
GEMMINE_HD static inline float norm_value(float normed, const float* gain, const float* shift,
                                          size_t c) {
  const float value = normed * gain[c];
  return shift == nullptr ? value : value + shift[c];
}

// norm'(g; x) of 10.3 from x̂ and r; scratch has `count` floats; out may be g.
GEMMINE_HD static inline void norm_gradient_row(Norm norm, const float* g, const float* gain,
                                                const float* normed, float r, size_t count,
                                                float* scratch, float* out) {
  const float w = 1.0F / static_cast<float>(count);
  for (size_t c = 0; c < count; ++c)
    scratch[c] = (g[c] * gain[c]) * normed[c];
  const float a = rowsum(scratch, count) * w;
  for (size_t c = 0; c < count; ++c)
    scratch[c] = g[c] * gain[c];
  const float e = norm == Norm::layer ? rowsum(scratch, count) * w : 0.0F;
  for (size_t c = 0; c < count; ++c) {
    const float h = norm == Norm::layer ? scratch[c] - e : scratch[c];
    out[c] = r * (h - normed[c] * a);
  }
}

// CQ of one unit of a gradient (10.7): 16 rows × 64 columns or what there is of them, or a run of a
// vector (rows = 1).
GEMMINE_HD static inline float unit_squares(const float* g, size_t ld, size_t rows, size_t cols) {
  float lane[kSumLanes];
  for (size_t l = 0; l < kSumLanes; ++l)
    lane[l] = 0.0F;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c)
      lane[c % kSumLanes] += g[r * ld + c] * g[r * ld + c];
  }
  for (size_t s = kSumLanes / 2; s > 0; s /= 2) {
    for (size_t l = 0; l < s; ++l)
      lane[l] += lane[l + s];
  }
  return lane[0];
}
// f of 10.7 from the c_j; NaN where c is not finite, and then the step is invalid.
GEMMINE_HD static inline float clip_factor_of(const float* c, size_t count, float clip) {
  float sum = 0.0F;
  for (size_t j = 0; j < count; ++j)
    sum = sum + c[j];
  if (magnitude(sum) >= kNotFinite) return float_of(kNotFinite | 1U);
  const float n = square_root(sum);
  return n > clip ? clip / n : 1.0F;
}

// α of 10.4.
GEMMINE_HD static inline float attention_rate(uint32_t head_width) {
  return 1.0F / square_root(static_cast<float>(head_width));
}
// Π_ij of S_ij ≤ m_i, 0 … 63.
GEMMINE_HD static inline int32_t attention_weight(float score, float max, float rate) {
  return rni(gn_exp((score - max) * rate) * 63.0F);
}
// dS_ij; 10.6.
GEMMINE_HD static inline float score_gradient(int32_t weight, float inv_l, float d_weight,
                                              float delta, float rate) {
  return ((static_cast<float>(weight) * inv_l) * (d_weight - delta)) * rate;
}

// dz of one logit; 3.3 and 10.5.
GEMMINE_HD static inline float logit_gradient(float logit, float max, float z, bool target,
                                              float inv_t) {
  return (gn_exp(logit - max) / z - (target ? 1.0F : 0.0F)) * inv_t;
}

}  // namespace gemmine::kernels
