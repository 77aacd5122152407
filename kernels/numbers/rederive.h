// Single values of a step, derived alone (PROTOCOL 7.4): what an opening is checked with.
//
// One element or one row at a time, portable code only. Tests hold these against the engines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels {

// Σ a[i·a_stride] · b[i·b_stride], exact; 2.9.
inline int32_t dot(const int8_t* a, size_t a_stride, const int8_t* b, size_t b_stride, size_t k) {
  int32_t sum = 0;
  for (size_t i = 0; i < k; ++i)
    sum += a[i * a_stride] * b[i * b_stride];
  return sum;
}

// X_0 of a feature byte; 3.2.
inline float feature_value(uint8_t byte, float scale, float shift) {
  return static_cast<float>(byte) * scale + shift;
}

// Y[t,n] from row t of X and row n of W; 3.3.
inline float forward_value(const int8_t* x_row, const int8_t* w_row, size_t k, float sx, float sw,
                           float b) {
  return static_cast<float>(dot(x_row, 1, w_row, 1, k)) * (sx * sw) + b;
}

// The next layer's real input; 3.3.
inline float relu(float y) {
  return y > 0.0F ? y : 0.0F;
}

// dY_{l−1}[t,k] from row t of G1_l, column k of W_l (w_stride = K_l) and Y_{l−1}[t,k]; 3.3.
inline float backward_value(const int8_t* g1_row, const int8_t* w_column, size_t w_stride, size_t n,
                            float s1, float y_below) {
  const float dx = static_cast<float>(dot(g1_row, 1, w_column, w_stride, n)) * s1;
  return y_below > 0.0F ? dx : 0.0F;
}

// dY of a row of logits and its nll; 3.3. classes >= 1, label < classes; dy has
// `classes` floats, none of them in `logits`.
void loss_row(const float* logits, size_t classes, uint32_t label, float inv_t, float* dy,
              float* nll);

// The p of colsum (2.8) for each run of 32 rows, [runs, cols], and what they add up to, [cols].
std::vector<float> run_sums(std::span<const float> x, size_t cols);
std::vector<float> sum_of_runs(std::span<const float> parts, size_t cols);

// fl(|v| / 63): at most the committed scale, and equal to it at the witness; 7.4.
inline float scale_floor(float v) {
  return float_of(magnitude(v)) / 63.0F;
}

// q of value v under a committed scale s; 2.4 with inv = 1/s, or 0 for s = 0.
inline float inverse_scale(float s) {
  return s == 0.0F ? 0.0F : 1.0F / s;
}
inline int8_t nearest_value(float v, float s) {
  return round_nearest(v, inverse_scale(s));
}
inline int8_t stochastic_value(float v, float s, const StochasticKey& key, uint32_t row,
                               uint32_t col, uint32_t cols) {
  return round_stochastic(v, inverse_scale(s), stochastic_u16(key, row, col, cols));
}

}  // namespace gemmine::kernels
