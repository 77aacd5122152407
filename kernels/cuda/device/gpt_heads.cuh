// The int8 operands of attention: a scale for each row and head, or for each sequence and column
// (PROTOCOL 10.4, 10.6).
#pragma once

#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/device/gpt_rows.cuh"

namespace gemmine::kernels::cuda {

// Q or K: RN with one scale per row and head. grid: T blocks of kRowThreads, a warp a head.
__global__ void __launch_bounds__(kRowThreads)
    quantise_heads(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                   uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const uint32_t lane = threadIdx.x & 31;
  for (uint32_t head = threadIdx.x >> 5; head < shape.heads; head += kRowThreads / 32) {
    const uint32_t first = head * shape.head_width;
    const float* const from = values + size_t{row} * from_ld + first;
    uint32_t absmax = 0;
    for (uint32_t c = lane; c < shape.head_width; c += 32) {
      const uint32_t bits = magnitude(from[c]);
      absmax = bits > absmax ? bits : absmax;
    }
    absmax = warp_max(absmax);
    const Scale scale = scale_of(absmax);
    for (uint32_t c = lane; c < shape.head_width; c += 32)
      q[size_t{row} * shape.ld + first + c] = round_nearest(from[c], scale.inv);
    if (lane != 0) continue;
    s[size_t{row} * shape.heads + head] = scale.s;
    if (absmax >= kNotFinite) atomicMax(flag, code);
  }
}
template <>
inline constexpr kernel::QuantiseHeads::Call* kFunction<kernel::QuantiseHeads> = quantise_heads;

// The scale of column `col` of a sequence, of which this thread has seen `absmax`, to every thread
// of the column; the first of them keeps it. All threads of the block call it.
__device__ __forceinline__ Scale keep_column_scale(uint32_t absmax, uint32_t col, uint32_t cols,
                                                   float* s, uint32_t* flag, uint32_t code) {
  __shared__ uint32_t of_part[kColumnParts][32];
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t part = threadIdx.x >> 5;
  of_part[part][lane] = absmax;
  __syncthreads();
#pragma unroll
  for (uint32_t i = 0; i < kColumnParts; ++i)
    absmax = of_part[i][lane] > absmax ? of_part[i][lane] : absmax;
  const Scale scale = scale_of(absmax);
  if (part == 0 && col < cols) {
    s[size_t{blockIdx.y} * cols + col] = scale.s;
    if (absmax >= kNotFinite) atomicMax(flag, code);
  }
  return scale;
}

// V: RN with one scale per sequence and column. grid: (ceil(D / 32), B) blocks of 32 columns.
__global__ void __launch_bounds__(kColumnParts * 32)
    quantise_columns(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                     uint32_t* flag, uint32_t code) {
  const uint32_t cols = shape.heads * shape.head_width;
  const uint32_t col = blockIdx.x * 32 + (threadIdx.x & 31);
  const uint32_t first = blockIdx.y * shape.context;
  const uint32_t end = col < cols ? first + shape.context : first;
  uint32_t absmax = 0;
  for (uint32_t t = first + (threadIdx.x >> 5); t < end; t += kColumnParts) {
    const uint32_t bits = magnitude(values[size_t{t} * from_ld + col]);
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale scale = keep_column_scale(absmax, col, cols, s, flag, code);
  for (uint32_t t = first + (threadIdx.x >> 5); t < end; t += kColumnParts)
    q[size_t{t} * shape.ld + col] = round_nearest(values[size_t{t} * from_ld + col], scale.inv);
}
template <>
inline constexpr kernel::QuantiseColumns::Call* kFunction<kernel::QuantiseColumns> =
    quantise_columns;

// δ, and the scale of HO, of each row and head. grid: T blocks of kRowThreads, a warp a head.
__global__ void __launch_bounds__(kRowThreads)
    head_gradient_rows(const float* d_mixed, const float* mixed, HeadShape shape, const float* sv,
                       float* delta, float* sh, float* inv_h, uint32_t* flag, uint32_t code_delta,
                       uint32_t code) {
  const uint32_t row = blockIdx.x;
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t cols = shape.heads * shape.head_width;
  const float* const of_sequence = sv + size_t{row / shape.context} * cols;
  for (uint32_t head = threadIdx.x >> 5; head < shape.heads; head += kRowThreads / 32) {
    const uint32_t end = (head + 1) * shape.head_width;
    float sum = 0.0F;
    uint32_t absmax = 0;
    for (uint32_t c = head * shape.head_width + lane; c < end; c += 32) {
      const float value = d_mixed[size_t{row} * cols + c];
      sum = sum + value * mixed[size_t{row} * cols + c];
      const uint32_t bits = magnitude(value * of_sequence[c]);
      absmax = bits > absmax ? bits : absmax;
    }
    sum = halving_tree(sum);
    absmax = warp_max(absmax);
    if (lane != 0) continue;
    const Scale scale = scale_of(absmax);
    const size_t at = size_t{row} * shape.heads + head;
    delta[at] = sum;
    sh[at] = scale.s;
    inv_h[at] = scale.inv;
    if (magnitude(sum) >= kNotFinite) atomicMax(flag, code_delta);
    if (absmax >= kNotFinite) atomicMax(flag, code);
  }
}
template <>
inline constexpr kernel::HeadGradientRows::Call* kFunction<kernel::HeadGradientRows> =
    head_gradient_rows;

// The scale of GO, of each sequence and column. grid: (ceil(D / 32), B) blocks of 32 columns.
__global__ void __launch_bounds__(kColumnParts * 32)
    head_gradient_columns(const float* d_mixed, HeadShape shape, const float* row_sum, float* sg,
                          float* inv_g, uint32_t* flag, uint32_t code) {
  const uint32_t cols = shape.heads * shape.head_width;
  const uint32_t col = blockIdx.x * 32 + (threadIdx.x & 31);
  const uint32_t head = col / shape.head_width;
  const uint32_t first = blockIdx.y * shape.context;
  const uint32_t end = col < cols ? first + shape.context : first;
  uint32_t absmax = 0;
  for (uint32_t t = first + (threadIdx.x >> 5); t < end; t += kColumnParts) {
    const float inv_l = 1.0F / row_sum[size_t{t} * shape.heads + head];
    const uint32_t bits = magnitude(d_mixed[size_t{t} * cols + col] * inv_l);
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale scale = keep_column_scale(absmax, col, cols, sg, flag, code);
  if (threadIdx.x < 32 && col < cols) inv_g[size_t{blockIdx.y} * cols + col] = scale.inv;
}
template <>
inline constexpr kernel::HeadGradientColumns::Call* kFunction<kernel::HeadGradientColumns> =
    head_gradient_columns;

// HO and GO. A thread has one Philox counter of each, 8 elements of a row. grid:
// ceil(T · ceil(D / 128) · 16 / kFlatThreads).
__global__ void __launch_bounds__(kFlatThreads)
    round_head_gradients(const float* d_mixed, uint32_t rows, HeadShape shape, const float* sv,
                         const float* row_sum, const float* inv_h, const float* inv_g,
                         StochasticKey of_ho, StochasticKey of_go, int8_t* ho, int8_t* go) {
  const uint32_t cols = shape.heads * shape.head_width;
  const uint32_t counters = (cols + kStochasticGroup - 1) / kStochasticGroup * kStochasticLanes;
  const uint32_t counter = blockIdx.x * kFlatThreads + threadIdx.x;
  const uint32_t row = counter / counters;
  if (row >= rows) return;
  const uint32_t i = counter % counters;
  const size_t of_sequence = size_t{row / shape.context} * cols;
  const PhiloxWords bits_h =
      philox(of_ho.seed, counter, of_ho.tensor_id, of_ho.step_id, kPurposeStochastic);
  const PhiloxWords bits_g =
      philox(of_go.seed, counter, of_go.tensor_id, of_go.step_id, kPurposeStochastic);
#pragma unroll
  for (uint32_t e = 0; e < 8; ++e) {
    const uint32_t col =
        stochastic_column(i / kStochasticLanes, i % kStochasticLanes, e / 4, e % 4);
    if (col >= cols) continue;
    const float value = d_mixed[size_t{row} * cols + col];
    const size_t of_head = size_t{row} * shape.heads + col / shape.head_width;
    const size_t of_column = of_sequence + col;
    const size_t at = size_t{row} * shape.ld + col;
    ho[at] =
        round_stochastic(value * sv[of_column], inv_h[of_head], half_of(bits_h.w[e % 4], e / 4));
    go[at] = round_stochastic(value * (1.0F / row_sum[of_head]), inv_g[of_column],
                              half_of(bits_g.w[e % 4], e / 4));
  }
}
template <>
inline constexpr kernel::RoundHeadGradients::Call* kFunction<kernel::RoundHeadGradients> =
    round_head_gradients;

}  // namespace gemmine::kernels::cuda
