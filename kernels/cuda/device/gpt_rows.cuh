// Kernels of the gpt that go row by row or element by element: embedding, norms, activation and
// their gradients (PROTOCOL 10.3, 10.4, 10.6).
#pragma once

#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/device/gradients.cuh"
#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/numbers/rows.h"

namespace gemmine::kernels::cuda {

// The greatest of a warp's values, to every lane.
__device__ __forceinline__ uint32_t warp_max(uint32_t value) {
#pragma unroll
  for (int bits = 16; bits > 0; bits /= 2) {
    const uint32_t other = __shfl_xor_sync(~0U, value, bits);
    value = other > value ? other : value;
  }
  return value;
}
// rowsum (PROTOCOL 2.8) from the lanes' sums, to every lane.
__device__ __forceinline__ float warp_rowsum(float lane_sum) {
  return __shfl_sync(~0U, halving_tree(lane_sum), 0);
}

// R_0, and the step's tokens. grid: T blocks of kRowThreads.
__global__ void __launch_bounds__(kRowThreads)
    embed_rows(const uint8_t* tokens, uint32_t token_bytes, uint32_t token_count,
               uint64_t data_seed, uint32_t step_id, uint32_t context, const float* e,
               const float* p, uint32_t cols, float* residual, uint32_t* inputs, uint32_t* targets,
               uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const uint32_t place = row % context;
  const uint32_t word = philox(data_seed, row / context, step_id, 0, kPurposeBatch).w[0];
  const uint64_t at = ((uint64_t{word} * (token_count - context)) >> 32) + place;
  const auto token = [&](uint64_t i) {
    return token_bytes == 1 ? uint32_t{tokens[i]}
                            : tokens[2 * i] | uint32_t{tokens[2 * i + 1]} << 8;
  };
  const uint32_t input = token(at);
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    const float value = e[size_t{input} * cols + c] + p[size_t{place} * cols + c];
    residual[size_t{row} * cols + c] = value;
    if (magnitude(value) >= kNotFinite) atomicMax(flag, code);
  }
  if (threadIdx.x == 0) {
    inputs[row] = input;
    targets[row] = token(at + 1);
  }
}
template <>
inline constexpr kernel::EmbedRows::Call* kFunction<kernel::EmbedRows> = embed_rows;

// RN by row of the norm; shift is null for RMSNorm, whose mean is +0: x − 0 is x in every bit.
// grid: ceil(T / kNormRows) blocks of a warp for each row.
__global__ void __launch_bounds__(kNormRows * 32)
    norm_rows(const float* residual, uint32_t rows, uint32_t cols, const float* gain,
              const float* shift, float* mean, float* rate, int8_t* q, uint32_t ld, float* s,
              uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x * kNormRows + (threadIdx.x >> 5);
  const uint32_t lane = threadIdx.x & 31;
  if (row >= rows) return;  // a whole warp
  const float* const x = residual + size_t{row} * cols;
  float middle = 0.0F;
  if (shift != nullptr) {
    float sum = 0.0F;
    for (uint32_t c = lane; c < cols; c += 32)
      sum = sum + x[c];
    middle = warp_rowsum(sum) * (1.0F / static_cast<float>(cols));
  }
  float squares = 0.0F;
  for (uint32_t c = lane; c < cols; c += 32) {
    const float centred = x[c] - middle;
    squares = squares + centred * centred;
  }
  const float r = norm_rate(warp_rowsum(squares), cols);
  uint32_t absmax = 0;
  for (uint32_t c = lane; c < cols; c += 32) {
    const uint32_t bits = magnitude(norm_value((x[c] - middle) * r, gain, shift, c));
    absmax = bits > absmax ? bits : absmax;
  }
  absmax = warp_max(absmax);
  const Scale scale = scale_of(absmax);
  for (uint32_t c = lane; c < cols; c += 32)
    q[size_t{row} * ld + c] =
        round_nearest(norm_value((x[c] - middle) * r, gain, shift, c), scale.inv);
  if (lane != 0) return;
  mean[row] = middle;
  rate[row] = r;
  s[row] = scale.s;
  if (absmax >= kNotFinite) atomicMax(flag, code);
}
template <>
inline constexpr kernel::NormRows::Call* kFunction<kernel::NormRows> = norm_rows;

// RN by row of the activation's value. grid: a block of kRowThreads for each row.
__global__ void __launch_bounds__(kRowThreads)
    activation_rows(const float* values, uint32_t cols, uint32_t activation, int8_t* q, uint32_t ld,
                    float* s, uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const auto kind = static_cast<Activation>(activation);
  const float* const from = values + size_t{row} * cols;
  uint32_t absmax = 0;
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    const uint32_t bits = magnitude(activate(kind, from[c]).value);
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale of_row = keep_scale(block_max(absmax), s, row, flag, code);
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads)
    q[size_t{row} * ld + c] = round_nearest(activate(kind, from[c]).value, of_row.inv);
}
template <>
inline constexpr kernel::ActivationRows::Call* kFunction<kernel::ActivationRows> = activation_rows;

// gradient ← gradient · slope(y). grid: ceil(count / kFlatThreads).
__global__ void __launch_bounds__(kFlatThreads)
    activation_gradient(const float* y, uint64_t count, uint32_t activation, float* gradient) {
  const uint64_t i = uint64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (i >= count) return;
  gradient[i] = gradient[i] * activate(static_cast<Activation>(activation), y[i]).slope;
}
template <>
inline constexpr kernel::ActivationGradient::Call* kFunction<kernel::ActivationGradient> =
    activation_gradient;

// out = norm'(d_value; residual), or base + that; base may be null. mean and rate are of
// norm_rows. grid: ceil(T / kNormRows) blocks of a warp for each row.
__global__ void __launch_bounds__(kNormRows * 32)
    norm_gradient_rows(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                       const float* gain, uint32_t is_layer, const float* mean, const float* rate,
                       const float* base, float* out, uint32_t* flag, uint32_t code_in,
                       uint32_t code_out) {
  const uint32_t row = blockIdx.x * kNormRows + (threadIdx.x >> 5);
  const uint32_t lane = threadIdx.x & 31;
  if (row >= rows) return;  // a whole warp
  const size_t first = size_t{row} * cols;
  const float w = 1.0F / static_cast<float>(cols);
  const float middle = mean[row];
  const float r = rate[row];
  float along = 0.0F;
  float total = 0.0F;
  uint32_t bad = 0;
  for (uint32_t c = lane; c < cols; c += 32) {
    const float g = d_value[first + c];
    bad |= magnitude(g) >= kNotFinite ? 1U : 0U;
    const float h = g * gain[c];
    along = along + h * ((residual[first + c] - middle) * r);
    total = total + h;
  }
  if (bad != 0) atomicMax(flag, code_in);
  const float a = warp_rowsum(along) * w;
  const float e = is_layer != 0 ? warp_rowsum(total) * w : 0.0F;
  bad = 0;
  for (uint32_t c = lane; c < cols; c += 32) {
    const float h = d_value[first + c] * gain[c];
    float value = r * ((h - e) - ((residual[first + c] - middle) * r) * a);
    if (base != nullptr) value = base[first + c] + value;
    out[first + c] = value;
    bad |= magnitude(value) >= kNotFinite ? 1U : 0U;
  }
  if (bad != 0) atomicMax(flag, code_out);
}
template <>
inline constexpr kernel::NormGradientRows::Call* kFunction<kernel::NormGradientRows> =
    norm_gradient_rows;

// Of each run of 32 rows and each column: Σ d_value · x̂ and Σ d_value, for gain and shift. grid:
// (ceil(cols / kRowThreads), runs).
__global__ void __launch_bounds__(kRowThreads)
    norm_gradient_runs(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                       const float* mean, const float* rate, float* run_gain, float* run_shift) {
  constexpr uint32_t kRun = static_cast<uint32_t>(kColumnSumRun);
  const uint32_t col = blockIdx.x * kRowThreads + threadIdx.x;
  if (col >= cols) return;
  const uint32_t first = blockIdx.y * kRun;
  const uint32_t end = rows - first < kRun ? rows : first + kRun;
  float of_gain = 0.0F;
  float of_shift = 0.0F;
  for (uint32_t t = first; t < end; ++t) {
    const size_t at = size_t{t} * cols + col;
    const float g = d_value[at];
    of_gain = of_gain + g * ((residual[at] - mean[t]) * rate[t]);
    of_shift = of_shift + g;
  }
  run_gain[size_t{blockIdx.y} * cols + col] = of_gain;
  run_shift[size_t{blockIdx.y} * cols + col] = of_shift;
}
template <>
inline constexpr kernel::NormGradientRuns::Call* kFunction<kernel::NormGradientRuns> =
    norm_gradient_runs;

// colsum (PROTOCOL 2.8) from the sums of its runs. grid: ceil(cols / kRowThreads).
__global__ void __launch_bounds__(kRowThreads)
    sum_runs(const float* run_sums, uint32_t runs, uint32_t cols, float* sums) {
  const uint32_t col = blockIdx.x * kRowThreads + threadIdx.x;
  if (col >= cols) return;
  float sum = 0.0F;
  for (uint32_t run = 0; run < runs; ++run)
    sum = sum + run_sums[size_t{run} * cols + col];
  sums[col] = sum;
}
template <>
inline constexpr kernel::SumRuns::Call* kFunction<kernel::SumRuns> = sum_runs;

}  // namespace gemmine::kernels::cuda
