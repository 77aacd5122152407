// The gpt's passes, written once and compiled once per instruction set; see gpt_passes.h.
//
// No #pragma once, for the reason that passes_body.h gives.
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/passes/gpt_passes.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/rows.h"

namespace gemmine::kernels::GEMMINE_PASSES {

// Loops that end in bytes come in two: else g++ takes 64 elements at once, and leaves a rest of up
// to 63 scalar, exp and all.
static constexpr size_t kNarrowed = 128;
static inline void narrow(const int32_t* __restrict q, size_t count, int8_t* __restrict out) {
  for (size_t i = 0; i < count; ++i)
    out[i] = static_cast<int8_t>(q[i]);
}

static inline uint32_t larger(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}

// Orders as floats do where neither is a NaN, −0 below +0; its own inverse. Integers have a maximum
// without an order of evaluation, which floats have for the compiler only.
static inline int32_t ordered(uint32_t bits) {
  return static_cast<int32_t>(bits ^ ((0U - (bits >> 31)) & 0x7fffffffU));
}
static inline float unordered(int32_t key) {
  return float_of(static_cast<uint32_t>(ordered(static_cast<uint32_t>(key))));
}
static inline float max_of(const float* x, size_t count) {
  int32_t most = INT32_MIN;
  for (size_t i = 0; i < count; ++i) {
    const int32_t key = ordered(bits_of(x[i]));
    most = key > most ? key : most;
  }
  return unordered(most);
}

static uint32_t add(const float* a, const float* b, size_t count, float* out) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    out[i] = a[i] + b[i];
    max = larger(max, magnitude(out[i]));
  }
  return max;
}

static uint32_t multiply(const float* a, const float* b, size_t count, float* out) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    out[i] = a[i] * b[i];
    max = larger(max, magnitude(out[i]));
  }
  return max;
}

// rowsum of a·b, PROTOCOL 2.8.
static float dot_rows(const float* a, const float* b, size_t count) {
  float lane[kSumLanes] = {};
  size_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) {
    for (size_t l = 0; l < kSumLanes; ++l)
      lane[l] += a[i + l] * b[i + l];
  }
  for (size_t l = 0; i + l < count; ++l)
    lane[l] += a[i + l] * b[i + l];
  for (size_t s = kSumLanes / 2; s > 0; s /= 2) {
    for (size_t l = 0; l < s; ++l)
      lane[l] += lane[l + s];
  }
  return lane[0];
}
// Whole tiles have a width that the compiler knows, so that it keeps the lanes in registers.
static float squares_of_unit(const float* __restrict g, size_t ld, size_t rows, size_t cols) {
  if (cols != 2 * kSumLanes) return unit_squares(g, ld, rows, cols);
  float lane[kSumLanes] = {};
  for (size_t r = 0; r < rows; ++r, g += ld) {
    for (size_t l = 0; l < kSumLanes; ++l)
      lane[l] += g[l] * g[l];
    for (size_t l = 0; l < kSumLanes; ++l)
      lane[l] += g[kSumLanes + l] * g[kSumLanes + l];
  }
  for (size_t s = kSumLanes / 2; s > 0; s /= 2) {
    for (size_t l = 0; l < s; ++l)
      lane[l] += lane[l + s];
  }
  return lane[0];
}

static uint32_t norm_row(const NormWeights& norm, const float* x, float* scratch, float* value) {
  normalise_row(norm.norm, x, norm.count, scratch, value);
  const float* const gain = norm.gain;
  const float* const shift = norm.shift;
  uint32_t max = 0;
  if (shift == nullptr) {
    for (size_t c = 0; c < norm.count; ++c) {
      value[c] = norm_value(value[c], gain, nullptr, c);
      max = larger(max, magnitude(value[c]));
    }
  } else {
    for (size_t c = 0; c < norm.count; ++c) {
      value[c] = norm_value(value[c], gain, shift, c);
      max = larger(max, magnitude(value[c]));
    }
  }
  return max;
}

static uint32_t norm_gradient(const NormWeights& norm, const float* x, const float* g,
                              const NormGradient& to) {
  const size_t count = norm.count;
  float* const normed = to.scratch;
  float* const scratch = to.scratch + count;
  const float r = normalise_row(norm.norm, x, count, scratch, normed);
  float* const gain = to.gain;
  for (size_t c = 0; c < count; ++c)
    gain[c] += g[c] * normed[c];
  if (norm.shift != nullptr) {
    float* const shift = to.shift;
    for (size_t c = 0; c < count; ++c)
      shift[c] += g[c];
  }
  float* const out = to.out;
  norm_gradient_row(norm.norm, g, norm.gain, normed, r, count, scratch, out);
  uint32_t max = 0;
  if (to.above != nullptr) {
    const float* const above = to.above;
    for (size_t c = 0; c < count; ++c)
      out[c] = above[c] + out[c];
  }
  for (size_t c = 0; c < count; ++c)
    max = larger(max, magnitude(out[c]));
  return max;
}

static void logits(const int32_t* __restrict acc, size_t count, float sx,
                   const float* __restrict sw, float* __restrict y) {
  for (size_t i = 0; i < count; ++i)
    y[i] = static_cast<float>(acc[i]) * (sx * sw[i]);
}

static uint32_t add_linear(const int32_t* __restrict acc, size_t count, float sx,
                           const float* __restrict sw, const float* __restrict b,
                           const float* __restrict residual, float* __restrict out) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    out[i] = residual[i] + (static_cast<float>(acc[i]) * (sx * sw[i]) + b[i]);
    max = larger(max, magnitude(out[i]));
  }
  return max;
}

template <Activation kind>
static inline __attribute__((always_inline)) uint32_t activate_as(
    const int32_t* __restrict acc, size_t count, float sx, const float* __restrict sw,
    const float* __restrict b, float* __restrict value, float* __restrict slope) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    const float y = static_cast<float>(acc[i]) * (sx * sw[i]) + b[i];
    const Activated at = gemmine::kernels::activate(kind, y);
    value[i] = at.value;
    slope[i] = at.slope;
    max = larger(max, magnitude(at.value));
  }
  return max;
}
static uint32_t activate_row(Activation activation, const int32_t* acc, size_t count, float sx,
                             const float* sw, const float* b, float* value, float* slope) {
  if (activation == Activation::gelu)
    return activate_as<Activation::gelu>(acc, count, sx, sw, b, value, slope);
  return activate_as<Activation::silu>(acc, count, sx, sw, b, value, slope);
}

static uint32_t scale(const int32_t* __restrict acc, size_t count, float s, float* __restrict out) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(acc[i]) * s;
    max = larger(max, magnitude(out[i]));
  }
  return max;
}
static void scale_slope(const int32_t* __restrict acc, size_t count, float s,
                        const float* __restrict slope, float* __restrict out) {
  for (size_t i = 0; i < count; ++i)
    out[i] = (static_cast<float>(acc[i]) * s) * slope[i];
}
static void scale_columns(const int32_t* __restrict acc, size_t count, const float* __restrict s,
                          float* __restrict out) {
  for (size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(acc[i]) * s[i];
}

static uint32_t loss_row(const LossRow& row) {
  float* const z = row.logits;
  const size_t groups = (row.count + kLossGroup - 1) / kLossGroup;
  int32_t most = INT32_MIN;
  uint32_t worst = 0;
  for (size_t g = 0; g < groups; ++g) {
    const size_t first = g * kLossGroup;
    const size_t n = row.count - first < kLossGroup ? row.count - first : kLossGroup;
    row.max[g] = max_of(z + first, n) + 0.0F;
    const int32_t key = ordered(bits_of(row.max[g]));
    most = key > most ? key : most;
    worst = larger(worst, magnitude(row.max[g]));
  }
  const float max = unordered(most);
  const float target = z[row.target];
  float sum = 0.0F;
  for (size_t g = 0; g < groups; ++g) {
    float* const e = z + g * kLossGroup;
    const size_t left = row.count - g * kLossGroup;
    const size_t n = left < kLossGroup ? left : kLossGroup;
    for (size_t c = 0; c < n; ++c)
      e[c] = gn_exp(e[c] - max);
    row.sum[g] = rowsum(e, n);
    sum += row.sum[g];
    worst = larger(worst, magnitude(row.sum[g]));
  }
  *row.nll = gn_log(sum) - (target - max);
  const float inv_t = row.inv_t;
  const float of_target = z[row.target];
  for (size_t c = 0; c < row.count; ++c)
    z[c] = (z[c] / sum) * inv_t;  // x − 0 is x
  z[row.target] = (of_target / sum - 1.0F) * inv_t;
  return worst;
}

static void column_step(const float* __restrict dy, size_t count, float scale_of_row,
                        float* __restrict sums, uint32_t* __restrict maxima) {
  for (size_t i = 0; i < count; ++i) {
    sums[i] += dy[i];
    maxima[i] = larger(maxima[i], magnitude(dy[i] * scale_of_row));
  }
}
static void column_max(const float* __restrict x, size_t count, uint32_t* __restrict maxima) {
  for (size_t i = 0; i < count; ++i)
    maxima[i] = larger(maxima[i], magnitude(x[i]));
}

static void quantise_columns(const float* __restrict x, size_t count, const float* __restrict inv,
                             int8_t* __restrict q) {
  for (size_t i = 0; i < count; ++i)
    q[i] = round_nearest(x[i], inv[i]);
}

static ScoreMax scores(const QueryRow& row, const int32_t* __restrict acc,
                       const float* __restrict sk, size_t count, float* __restrict s) {
  const auto allowed = static_cast<uint32_t>(row.allowed);
  const float sq = row.sq;
  int32_t most = INT32_MIN;
  uint32_t all = 0;
  for (uint32_t j = 0; j < static_cast<uint32_t>(count); ++j) {
    const float value = static_cast<float>(acc[j]) * (sq * sk[j]);
    s[j] = value;
    const int32_t key = ordered(bits_of(value));
    const int32_t kept = j < allowed ? key : INT32_MIN;
    most = kept > most ? kept : most;
    all = larger(all, j < allowed ? magnitude(value) : 0U);
  }
  return {unordered(most) + 0.0F, all};
}

static uint32_t weights(const QueryRow& row, float max, const float* __restrict s, size_t count,
                        int8_t* __restrict out) {
  const auto allowed = static_cast<uint32_t>(row.allowed);
  const float rate = row.rate;
  uint32_t sum = 0;
  for (size_t first = 0; first < count; first += kNarrowed) {
    const size_t n = count - first < kNarrowed ? count - first : kNarrowed;
    const auto allowed_here = static_cast<int32_t>(allowed) - static_cast<int32_t>(first);
    int32_t kept[kNarrowed];
    for (int32_t j = 0; j < static_cast<int32_t>(n); ++j) {
      const int32_t weight = attention_weight(s[first + static_cast<size_t>(j)], max, rate);
      kept[j] = j < allowed_here ? weight : 0;
      sum += static_cast<uint32_t>(kept[j]);
    }
    narrow(kept, n, out + first);
  }
  return sum;
}

static void mix(const int32_t* __restrict acc, size_t count, const float* __restrict sv,
                float inv_l, float* __restrict out) {
  for (size_t c = 0; c < count; ++c)
    out[c] = (static_cast<float>(acc[c]) * sv[c]) * inv_l;
}

static void score_gradients(const QueryRow& row, const QueryGradient& known,
                            const int8_t* __restrict weights_row, const int32_t* __restrict acc,
                            size_t count, float* __restrict ds) {
  const auto allowed = static_cast<uint32_t>(row.allowed);
  const float inv_l = known.inv_l;
  const float sh = known.sh;
  const float delta = known.delta;
  const float rate = row.rate;
  for (uint32_t j = 0; j < static_cast<uint32_t>(count); ++j) {
    const float d_weight = static_cast<float>(acc[j]) * sh;
    const float value = score_gradient(weights_row[j], inv_l, d_weight, delta, rate);
    ds[j] = float_of(bits_of(value) & (j < allowed ? 0xffffffffU : 0U));
  }
}

static uint32_t score_maxima(const QueryRow& row, const float* __restrict ds,
                             const float* __restrict sk, size_t count,
                             uint32_t* __restrict maxima) {
  const float sq = row.sq;
  uint32_t max = 0;
  for (size_t j = 0; j < count; ++j) {
    max = larger(max, magnitude(ds[j] * sk[j]));
    maxima[j] = larger(maxima[j], magnitude(ds[j] * sq));
  }
  return max;
}

static constexpr GptPasses kAll{
    .add = add,
    .multiply = multiply,
    .dot = dot_rows,
    .norm = norm_row,
    .norm_gradient = norm_gradient,
    .logits = logits,
    .add_linear = add_linear,
    .activate = activate_row,
    .scale = scale,
    .scale_slope = scale_slope,
    .scale_columns = scale_columns,
    .loss = loss_row,
    .column_step = column_step,
    .column_max = column_max,
    .quantise_columns = quantise_columns,
    .scores = scores,
    .weights = weights,
    .mix = mix,
    .score_gradients = score_gradients,
    .score_maxima = score_maxima,
    .unit_squares = squares_of_unit,
};

}  // namespace gemmine::kernels::GEMMINE_PASSES
