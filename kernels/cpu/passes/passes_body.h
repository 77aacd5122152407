// The passes, written once and compiled once per instruction set; see passes.h.
//
// No #pragma once: a file includes this after naming its namespace in GEMMINE_PASSES. Everything
// here is static or comes static from numerics.h, so no copy of one set ends up in another.
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/passes/passes.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::GEMMINE_PASSES {

static inline uint32_t larger(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}

static uint32_t absmax(const float* x, size_t count) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i)
    max = larger(max, magnitude(x[i]));
  return max;
}

static uint32_t features(const uint8_t* bytes, size_t count, float scale, float shift,
                         float* __restrict out) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    const float x = static_cast<float>(bytes[i]) * scale + shift;
    out[i] = x;
    max = larger(max, magnitude(x));
  }
  return max;
}

static void quantise_nearest(const float* __restrict x, size_t count, float inv,
                             int8_t* __restrict q) {
  for (size_t i = 0; i < count; ++i)
    q[i] = round_nearest(x[i], inv);
}

static RowMaxima forward_relu(const int32_t* __restrict acc, size_t count, float sx,
                              const float* __restrict sw, const float* __restrict b,
                              float* __restrict y) {
  RowMaxima max{0, 0};
  for (size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(acc[i]) * (sx * sw[i]) + b[i];
    // A mask, since g++ 12 makes a branch of the plain select and then leaves the loop scalar.
    const uint32_t kept = bits_of(value) & (value > 0.0F ? 0xffffffffU : 0U);
    y[i] = float_of(kept);
    max.result = larger(max.result, kept);
    max.all = larger(max.all, magnitude(value));
  }
  return max;
}

static RowMaxima forward(const int32_t* __restrict acc, size_t count, float sx,
                         const float* __restrict sw, const float* __restrict b, bool relu,
                         float* __restrict y) {
  if (relu) return forward_relu(acc, count, sx, sw, b, y);
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i) {
    y[i] = static_cast<float>(acc[i]) * (sx * sw[i]) + b[i];
    max = larger(max, magnitude(y[i]));
  }
  return {max, max};
}

static void loss(const float* logits, size_t count, uint32_t label, float inv_t,
                 float* __restrict dy, float* nll) {
  float max = logits[0];
  for (size_t c = 1; c < count; ++c)
    max = logits[c] > max ? logits[c] : max;
  for (size_t c = 0; c < count; ++c)
    dy[c] = gn_exp(logits[c] - max);
  const float sum = rowsum(dy, count);
  *nll = gn_log(sum) - (logits[label] - max);
  for (size_t c = 0; c < count; ++c)
    dy[c] = (dy[c] / sum - (c == label ? 1.0F : 0.0F)) * inv_t;
}

static uint32_t scaled_absmax(const float* dy, const float* sw, size_t count) {
  uint32_t max = 0;
  for (size_t i = 0; i < count; ++i)
    max = larger(max, magnitude(dy[i] * sw[i]));
  return max;
}

// The full width has its own body, so that the compiler knows it and keeps the strip in registers.
template <size_t width>
static inline __attribute__((always_inline)) void strip(const float* dy, size_t ld, size_t rows,
                                                        size_t count, const float* sx,
                                                        float* __restrict db,
                                                        float* __restrict parts,
                                                        uint32_t* __restrict absmax_out) {
  const size_t n = width > 0 ? width : count;
  float total[kStripColumns] = {};
  uint32_t max[kStripColumns] = {};
  for (size_t first = 0; first < rows; first += kColumnSumRun) {
    float part[kStripColumns] = {};
    const size_t end = rows - first < kColumnSumRun ? rows : first + kColumnSumRun;
    for (size_t t = first; t < end; ++t) {
      const float* const row = dy + t * ld;
      const float scale = sx[t];
      for (size_t c = 0; c < n; ++c) {
        part[c] += row[c];
        max[c] = larger(max[c], magnitude(row[c] * scale));
      }
    }
    float* const part_out = parts + first / kColumnSumRun * ld;
    for (size_t c = 0; c < n; ++c) {
      total[c] += part[c];
      part_out[c] = part[c];
    }
  }
  for (size_t c = 0; c < n; ++c) {
    db[c] = total[c];
    absmax_out[c] = max[c];
  }
}

static void columns(const float* dy, size_t ld, size_t rows, size_t count, const float* sx,
                    float* db, float* parts, uint32_t* absmax_out) {
  constexpr size_t kPart = 16;
  size_t c = 0;
  for (; c + kPart <= count; c += kPart)
    strip<kPart>(dy + c, ld, rows, kPart, sx, db + c, parts + c, absmax_out + c);
  if (c < count) strip<0>(dy + c, ld, rows, count - c, sx, db + c, parts + c, absmax_out + c);
}

#if !defined(GEMMINE_STOCHASTIC_GROUP)  // passes_avx512.cc has its own
// The u of one group of 128 columns, from 16 counters side by side; PROTOCOL 2.5.
static void stochastic_group(const StochasticKey& key, uint32_t first_counter,
                             uint32_t* __restrict u) {
  for (uint32_t l = 0; l < kStochasticLanes; ++l) {
    const PhiloxWords words =
        philox(key.seed, first_counter + l, key.tensor_id, key.step_id, kPurposeStochastic);
    for (uint32_t j = 0; j < 4; ++j) {
      u[j * kStochasticLanes + l] = words.w[j] & 0xffffU;
      u[64 + j * kStochasticLanes + l] = words.w[j] >> 16;
    }
  }
}
#endif

static void quantise_g1(const float* __restrict dy, const float* __restrict sw, float inv,
                        const StochasticKey& key, uint32_t counter, size_t count,
                        int8_t* __restrict q) {
  for (size_t first = 0; first < count; first += kStochasticGroup) {
    uint32_t u[kStochasticGroup];
    stochastic_group(key, counter, u);
    counter += kStochasticLanes;
    const size_t n = count - first < kStochasticGroup ? count - first : kStochasticGroup;
    for (size_t i = 0; i < n; ++i)
      q[first + i] = round_stochastic(dy[first + i] * sw[first + i], inv, u[i]);
  }
}

static void quantise_g2(const float* __restrict dy, float sx, const float* __restrict inv,
                        const StochasticKey& key, uint32_t counter, size_t count,
                        int8_t* __restrict q) {
  for (size_t first = 0; first < count; first += kStochasticGroup) {
    uint32_t u[kStochasticGroup];
    stochastic_group(key, counter, u);
    counter += kStochasticLanes;
    const size_t n = count - first < kStochasticGroup ? count - first : kStochasticGroup;
    for (size_t i = 0; i < n; ++i)
      q[first + i] = round_stochastic(dy[first + i] * sx, inv[first + i], u[i]);
  }
}

static void backward(const int32_t* __restrict acc, size_t count, float s1,
                     const float* __restrict y, float* __restrict dy) {
  for (size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(acc[i]) * s1;
    dy[i] = y[i] > 0.0F ? value : 0.0F;
  }
}

// PROTOCOL 3.4 for one parameter. Biases do not decay: a branch, and not a wd of zero, which would
// turn a gradient of -0 into +0.
template <bool decays>
static inline __attribute__((always_inline)) void sgd(float g, const UpdateRates& rates, float& w,
                                                      float& m) {
  if (decays) g = g + rates.wd * w;
  m = rates.beta1 * m + g;
  w = w - rates.lr * m;
}

template <bool decays>
static inline __attribute__((always_inline)) void adamw(float g, const UpdateRates& rates, float& w,
                                                        float& m, float& v) {
  m = rates.beta1 * m + rates.rest1 * g;
  v = rates.beta2 * v + rates.rest2 * (g * g);
  const float u = (m * rates.unbias1) / (square_root(v * rates.unbias2) + rates.eps);
  w = w - rates.lr * (decays ? u + rates.wd * w : u);
}

// g of element i is `gradient[i] · factor`, which is `gradient[i]` itself for a factor of 1.
template <bool decays, class T>
static inline __attribute__((always_inline)) RowMaxima optimise(const T* __restrict gradient,
                                                                size_t count, float factor,
                                                                const UpdateRates& rates_in,
                                                                const Masters& at) {
  const UpdateRates rates = rates_in;
  float* __restrict const w = at.w;
  float* __restrict const m = at.m;
  float* __restrict const v = at.v;
  RowMaxima max{0, 0};
  if (v == nullptr) {
    for (size_t i = 0; i < count; ++i) {
      const auto raw = static_cast<float>(gradient[i]);
      sgd<decays>(raw * factor, rates, w[i], m[i]);
      max.result = larger(max.result, magnitude(w[i]));
      max.all = larger(max.all, magnitude(m[i]));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      const auto raw = static_cast<float>(gradient[i]);
      adamw<decays>(raw * factor, rates, w[i], m[i], v[i]);
      max.result = larger(max.result, magnitude(w[i]));
      max.all = larger(max.all, larger(magnitude(m[i]), magnitude(v[i])));
    }
  }
  max.all = larger(max.all, max.result);
  return max;
}

static RowMaxima update_weights(const int32_t* acc, size_t count, float s2,
                                const UpdateRates& rates, const Masters& at) {
  return optimise<true>(acc, count, s2, rates, at);
}
static RowMaxima update(const float* gradient, size_t count, float factor, bool decays,
                        const UpdateRates& rates, const Masters& at) {
  return decays ? optimise<true>(gradient, count, factor, rates, at)
                : optimise<false>(gradient, count, factor, rates, at);
}

static constexpr Passes kAll{
    .absmax = absmax,
    .features = features,
    .quantise_nearest = quantise_nearest,
    .forward = forward,
    .loss = loss,
    .scaled_absmax = scaled_absmax,
    .columns = columns,
    .quantise_g1 = quantise_g1,
    .quantise_g2 = quantise_g2,
    .backward = backward,
    .update_weights = update_weights,
    .update = update,
};

}  // namespace gemmine::kernels::GEMMINE_PASSES
