// Kernels between forward and update: loss, column sums, stochastic rounding
// (PROTOCOL 2.5–2.8, 3.3).
#pragma once

#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/device/rows.cuh"

namespace gemmine::kernels::cuda {

// PROTOCOL 2.8 from the 32 lane sums: lane 0 gets rowsum.
__device__ __forceinline__ float halving_tree(float sum) {
#pragma unroll
  for (unsigned s = 16; s > 0; s /= 2) {
    const float other = __shfl_down_sync(~0U, sum, s);
    sum = sum + other;
  }
  return sum;
}

// dY and nll of row t; PROTOCOL 3.3. grid: ceil(T / kLossRows) blocks of a warp for each row.
__global__ void __launch_bounds__(kLossRows * 32)
    loss_rows(const float* logits, uint32_t rows, uint32_t classes, const uint32_t* labels,
              float inv_t, float* dy, float* nll, uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x * kLossRows + (threadIdx.x >> 5);
  const uint32_t lane = threadIdx.x & 31;
  if (row >= rows) return;  // a whole warp
  const float* const z = logits + size_t{row} * classes;
  float max = z[0];
  uint32_t bad = 0;
  for (uint32_t c = lane; c < classes; c += 32) {
    max = z[c] > max ? z[c] : max;
    bad |= magnitude(z[c]) >= kNotFinite ? 1U : 0U;
  }
  if (bad != 0) atomicMax(flag, code);
#pragma unroll
  for (int bits = 16; bits > 0; bits /= 2) {
    const float other = __shfl_xor_sync(~0U, max, bits);
    max = other > max ? other : max;
  }
  float sum = 0.0F;
  for (uint32_t c = lane; c < classes; c += 32)
    sum = sum + gn_exp(z[c] - max);
  const float total = __shfl_sync(~0U, halving_tree(sum), 0);
  const uint32_t label = labels[row];
  for (uint32_t c = lane; c < classes; c += 32) {
    const float hit = c == label ? 1.0F : 0.0F;
    dy[size_t{row} * classes + c] = (gn_exp(z[c] - max) / total - hit) * inv_t;
  }
  if (lane == 0) nll[row] = gn_log(total) - (z[label] - max);
}
template <>
inline constexpr kernel::LossRows::Call* kFunction<kernel::LossRows> = loss_rows;

// longsum(nll) · inv_t (PROTOCOL 2.8); T ≤ 65536, so at most 16 blocks of 4096. One block.
__global__ void __launch_bounds__(kMeanThreads)
    mean_loss(const float* nll, uint32_t rows, float inv_t, float* loss, uint32_t* flag,
              uint32_t code) {
  constexpr uint32_t kPiece = static_cast<uint32_t>(kLongSumBlock);
  static_assert(kMeanThreads / 32 * kLongSumBlock >= 65536, "a warp for each block of longsum");
  __shared__ float sums[kMeanThreads / 32];
  const uint32_t warp = threadIdx.x >> 5;
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t pieces = (rows + kPiece - 1) / kPiece;
  if (warp < pieces) {
    const uint32_t end = rows - warp * kPiece < kPiece ? rows : (warp + 1) * kPiece;
    float sum = 0.0F;
    for (uint32_t i = warp * kPiece + lane; i < end; i += 32)
      sum = sum + nll[i];
    sum = halving_tree(sum);
    if (lane == 0) sums[warp] = sum;
  }
  __syncthreads();
  if (warp != 0) return;
  // With one piece its sum is the answer; rowsum of one element would be the same bits but −0.
  float sum = 0.0F;
  if (lane < pieces) sum = sum + sums[lane];
  sum = pieces == 1 ? sums[0] : halving_tree(sum);
  if (lane != 0) return;
  const float mean = sum * inv_t;
  if (magnitude(mean) >= kNotFinite) atomicMax(flag, code);
  *loss = mean;
}
template <>
inline constexpr kernel::MeanLoss::Call* kFunction<kernel::MeanLoss> = mean_loss;

// Of each run of 32 rows and each column: Σ dY, and the absmax of dY · sx. grid: (ceil(cols /
// kRowThreads), runs).
__global__ void __launch_bounds__(kRowThreads)
    column_runs(const float* dy, uint32_t rows, uint32_t cols, const float* sx, float* run_sums,
                uint32_t* run_max) {
  constexpr uint32_t kRun = static_cast<uint32_t>(kColumnSumRun);
  const uint32_t col = blockIdx.x * kRowThreads + threadIdx.x;
  if (col >= cols) return;
  const uint32_t first = blockIdx.y * kRun;
  const uint32_t end = rows - first < kRun ? rows : first + kRun;
  float sum = 0.0F;
  uint32_t absmax = 0;
  for (uint32_t t = first; t < end; ++t) {
    const float value = dy[size_t{t} * cols + col];
    sum = sum + value;
    const uint32_t bits = magnitude(value * sx[t]);
    absmax = bits > absmax ? bits : absmax;
  }
  run_sums[size_t{blockIdx.y} * cols + col] = sum;
  run_max[size_t{blockIdx.y} * cols + col] = absmax;
}
template <>
inline constexpr kernel::ColumnRuns::Call* kFunction<kernel::ColumnRuns> = column_runs;

// db and the scale of each column of G2. grid: ceil(cols / kRowThreads).
__global__ void __launch_bounds__(kRowThreads)
    column_finish(const float* run_sums, const uint32_t* run_max, uint32_t runs, uint32_t cols,
                  float* db, float* s2, float* inv2, uint32_t* flag, uint32_t code) {
  const uint32_t col = blockIdx.x * kRowThreads + threadIdx.x;
  if (col >= cols) return;
  float sum = 0.0F;
  uint32_t absmax = 0;
  for (uint32_t run = 0; run < runs; ++run) {
    sum = sum + run_sums[size_t{run} * cols + col];
    const uint32_t bits = run_max[size_t{run} * cols + col];
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale scale = scale_of(absmax);
  db[col] = sum;
  s2[col] = scale.s;
  inv2[col] = scale.inv;
  if (absmax >= kNotFinite) atomicMax(flag, code);
}
template <>
inline constexpr kernel::ColumnFinish::Call* kFunction<kernel::ColumnFinish> = column_finish;

// The column of the element that word `word`, half `half` of a Philox counter is for (2.5).
__device__ __forceinline__ uint32_t stochastic_column(uint32_t group, uint32_t lane, uint32_t half,
                                                      uint32_t word) {
  return group * kStochasticGroup + half * 64 + word * kStochasticLanes + lane;
}
__device__ __forceinline__ uint32_t half_of(uint32_t word, uint32_t half) {
  return half == 0 ? word & 0xffffU : word >> 16;
}

// G1: SR by row of dY · sw. grid: a block of kRowThreads for each row.
__global__ void __launch_bounds__(kRowThreads)
    stochastic_rows(const float* dy, uint32_t cols, const float* sw, uint64_t sr_seed,
                    uint32_t tensor_id, uint32_t step_id, int8_t* q, uint32_t ld, float* s1,
                    uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const float* const from = dy + size_t{row} * cols;
  uint32_t absmax = 0;
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    const uint32_t bits = magnitude(from[c] * sw[c]);
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale scale = keep_scale(block_max(absmax), s1, row, flag, code);
  const uint32_t counters = (cols + kStochasticGroup - 1) / kStochasticGroup * kStochasticLanes;
  for (uint32_t i = threadIdx.x; i < counters; i += kRowThreads) {
    const PhiloxWords words =
        philox(sr_seed, row * counters + i, tensor_id, step_id, kPurposeStochastic);
#pragma unroll
    for (uint32_t e = 0; e < 8; ++e) {
      const uint32_t col =
          stochastic_column(i / kStochasticLanes, i % kStochasticLanes, e / 4, e % 4);
      if (col < cols)
        q[size_t{row} * ld + col] =
            round_stochastic(from[col] * sw[col], scale.inv, half_of(words.w[e % 4], e / 4));
    }
  }
}
template <>
inline constexpr kernel::StochasticRows::Call* kFunction<kernel::StochasticRows> = stochastic_rows;

// G2: SR by column of dY · sx. A thread has one Philox counter, 8 elements of a row. grid:
// ceil(T · ceil(cols / 128) · 16 / kFlatThreads).
__global__ void __launch_bounds__(kFlatThreads)
    stochastic_columns(const float* dy, uint32_t rows, uint32_t cols, const float* sx,
                       const float* inv2, uint64_t sr_seed, uint32_t tensor_id, uint32_t step_id,
                       int8_t* q, uint32_t ld) {
  const uint32_t counters = (cols + kStochasticGroup - 1) / kStochasticGroup * kStochasticLanes;
  const uint32_t counter = blockIdx.x * kFlatThreads + threadIdx.x;
  const uint32_t row = counter / counters;
  if (row >= rows) return;
  const uint32_t i = counter % counters;
  const PhiloxWords words = philox(sr_seed, counter, tensor_id, step_id, kPurposeStochastic);
  const float factor = sx[row];
#pragma unroll
  for (uint32_t e = 0; e < 8; ++e) {
    const uint32_t col =
        stochastic_column(i / kStochasticLanes, i % kStochasticLanes, e / 4, e % 4);
    if (col < cols)
      q[size_t{row} * ld + col] = round_stochastic(dy[size_t{row} * cols + col] * factor, inv2[col],
                                                   half_of(words.w[e % 4], e / 4));
  }
}
template <>
inline constexpr kernel::StochasticColumns::Call* kFunction<kernel::StochasticColumns> =
    stochastic_columns;

}  // namespace gemmine::kernels::cuda
