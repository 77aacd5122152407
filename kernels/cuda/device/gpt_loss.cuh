// Kernels of the gpt between its logits and its new state: loss, embedding gradients, clip
// (PROTOCOL 10.5–10.7).
#pragma once

#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/device/gpt_rows.cuh"

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kLossGroupsMax = kVocabularyMax / kLossGroup;

// μ, ζ and nll of a row; dz takes the place of its logits. grid: T blocks of kRowThreads, whose
// warps share the groups.
__global__ void __launch_bounds__(kRowThreads)
    loss_logits(float* logits, uint32_t classes, const uint32_t* targets, float inv_t, float* mu,
                float* zeta, float* nll, uint32_t* flag, uint32_t code_mu, uint32_t code_zeta) {
  __shared__ float maxima[kLossGroupsMax];
  __shared__ float sums[kLossGroupsMax];
  const uint32_t row = blockIdx.x;
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t groups = (classes + kLossGroup - 1) / kLossGroup;
  float* const z = logits + size_t{row} * classes;
  for (uint32_t g = threadIdx.x >> 5; g < groups; g += kRowThreads / 32) {
    const uint32_t end = classes - g * kLossGroup < kLossGroup ? classes : (g + 1) * kLossGroup;
    float max = z[g * kLossGroup];
    for (uint32_t c = g * kLossGroup + lane; c < end; c += 32)
      max = z[c] > max ? z[c] : max;
#pragma unroll
    for (int bits = 16; bits > 0; bits /= 2) {
      const float other = __shfl_xor_sync(~0U, max, bits);
      max = other > max ? other : max;
    }
    max = max + 0.0F;
    if (lane != 0) continue;
    maxima[g] = max;
    mu[size_t{row} * groups + g] = max;
    if (magnitude(max) >= kNotFinite) atomicMax(flag, code_mu);
  }
  __syncthreads();
  float max = maxima[0];
  for (uint32_t g = 1; g < groups; ++g)
    max = maxima[g] > max ? maxima[g] : max;
  for (uint32_t g = threadIdx.x >> 5; g < groups; g += kRowThreads / 32) {
    const uint32_t end = classes - g * kLossGroup < kLossGroup ? classes : (g + 1) * kLossGroup;
    float sum = 0.0F;
    for (uint32_t c = g * kLossGroup + lane; c < end; c += 32)
      sum = sum + gn_exp(z[c] - max);
    sum = halving_tree(sum);
    if (lane != 0) continue;
    sums[g] = sum;
    zeta[size_t{row} * groups + g] = sum;
    if (magnitude(sum) >= kNotFinite) atomicMax(flag, code_zeta);
  }
  const uint32_t target = targets[row];
  const float of_target = z[target];  // before it becomes dz
  __syncthreads();
  float total = 0.0F;
  for (uint32_t g = 0; g < groups; ++g)
    total = total + sums[g];
  for (uint32_t c = threadIdx.x; c < classes; c += kRowThreads)
    z[c] = logit_gradient(z[c], max, total, c == target, inv_t);
  if (threadIdx.x == 0) nll[row] = gn_log(total) - (of_target - max);
}
template <>
inline constexpr kernel::LossLogits::Call* kFunction<kernel::LossLogits> = loss_logits;

// dE of one token: D_0 of the rows that have it, ascending; with `tied` added to what the head has
// left in `gradient`. grid: V blocks of kFlatThreads.
__global__ void __launch_bounds__(kFlatThreads)
    token_gradient(const uint32_t* inputs, uint32_t rows, uint32_t cols, const float* d_residual,
                   uint32_t tied, float* gradient) {
  constexpr uint32_t kColumns = kModelWidthMax / kFlatThreads;  // of a thread
  constexpr uint32_t kWords = kTokenRows / 32;
  __shared__ uint32_t found[kWords];  // bit b of word w: row w · 32 + b of those looked at
  float sums[kColumns] = {};
  for (uint32_t first = 0; first < rows; first += kTokenRows) {
    __syncthreads();
    for (uint32_t word = threadIdx.x >> 5; word < kWords; word += kFlatThreads / 32) {
      const uint32_t row = first + word * 32 + (threadIdx.x & 31);
      const uint32_t bits = __ballot_sync(~0U, row < rows && inputs[row] == blockIdx.x ? 1 : 0);
      if ((threadIdx.x & 31) == 0) found[word] = bits;
    }
    __syncthreads();
    for (uint32_t word = 0; word < kWords; ++word) {
      for (uint32_t left = found[word]; left != 0; left &= left - 1) {
        const auto bit = static_cast<uint32_t>(__ffs(static_cast<int>(left)) - 1);
        const float* const from = d_residual + size_t{first + word * 32 + bit} * cols;
#pragma unroll
        for (uint32_t i = 0; i < kColumns; ++i) {
          const uint32_t col = i * kFlatThreads + threadIdx.x;
          if (col < cols) sums[i] = sums[i] + from[col];
        }
      }
    }
  }
#pragma unroll
  for (uint32_t i = 0; i < kColumns; ++i) {
    const uint32_t col = i * kFlatThreads + threadIdx.x;
    if (col >= cols) continue;
    float& to = gradient[size_t{blockIdx.x} * cols + col];
    to = tied != 0 ? to + sums[i] : sums[i];
  }
}
template <>
inline constexpr kernel::TokenGradient::Call* kFunction<kernel::TokenGradient> = token_gradient;

// dP, element by element of `count` = C · D: sequences ascending. grid: ceil(count /
// kFlatThreads).
__global__ void __launch_bounds__(kFlatThreads)
    position_gradient(const float* d_residual, uint32_t sequences, uint64_t count,
                      float* gradient) {
  const uint64_t i = uint64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (i >= count) return;
  float sum = 0.0F;
  for (uint32_t b = 0; b < sequences; ++b)
    sum = sum + d_residual[b * count + i];
  gradient[i] = sum;
}
template <>
inline constexpr kernel::PositionGradient::Call* kFunction<kernel::PositionGradient> =
    position_gradient;

// CQ (PROTOCOL 10.7) of every unit of every parameter, in the order of the units. grid:
// (ceil(units of the largest job / kUnits), jobs) blocks of a warp for each unit.
__global__ void __launch_bounds__(kUnits * 32)
    square_units(const float* gradient, const UnitJob* jobs, float* squares) {
  const UnitJob job = jobs[blockIdx.y];
  const uint32_t unit = blockIdx.x * kUnits + (threadIdx.x >> 5);
  const uint32_t lane = threadIdx.x & 31;
  if (unit >= job.units) return;  // a whole warp
  const uint32_t row = unit % job.units_down * kUnitRows;
  const uint32_t end = job.rows - row < kUnitRows ? job.rows : row + kUnitRows;
  const uint32_t col = unit / job.units_down * kUnitCols + lane;
  float sum = 0.0F;
  for (uint32_t r = row; r < end; ++r) {
    const float* const from = gradient + job.first + size_t{r} * job.cols;
    if (col < job.cols) sum = sum + from[col] * from[col];
    if (col + 32 < job.cols) sum = sum + from[col + 32] * from[col + 32];
  }
  sum = halving_tree(sum);
  if (lane == 0) squares[job.first_unit + unit] = sum;
}
template <>
inline constexpr kernel::SquareUnits::Call* kFunction<kernel::SquareUnits> = square_units;

// One level of longsum (PROTOCOL 2.8) of many vectors. grid: ceil(count / kSumPieces) blocks of a
// warp for each piece.
__global__ void __launch_bounds__(kSumPieces * 32)
    sum_pieces(const float* values, const SumPiece* pieces, uint32_t count, float* sums) {
  const uint32_t piece = blockIdx.x * kSumPieces + (threadIdx.x >> 5);
  const uint32_t lane = threadIdx.x & 31;
  if (piece >= count) return;  // a whole warp
  const float* const from = values + pieces[piece].first;
  float sum = 0.0F;
  for (uint32_t i = lane; i < pieces[piece].count; i += 32)
    sum = sum + from[i];
  sum = halving_tree(sum);
  if (lane == 0) sums[piece] = sum;
}
template <>
inline constexpr kernel::SumPieces::Call* kFunction<kernel::SumPieces> = sum_pieces;

// cf of PROTOCOL 10.7, `count` + 1 floats, from the parameters' sums of squares. One block; one
// thread has work.
__global__ void __launch_bounds__(32) clip_factor(const float* sums, uint32_t count, float clip,
                                                  float* cf, uint32_t* flag, uint32_t code) {
  if (threadIdx.x != 0) return;
  for (uint32_t j = 0; j < count; ++j)
    cf[j] = sums[j];
  const float factor = clip_factor_of(sums, count, clip);
  if (magnitude(factor) >= kNotFinite) atomicMax(flag, code);
  cf[count] = factor;
}
template <>
inline constexpr kernel::ClipFactor::Call* kFunction<kernel::ClipFactor> = clip_factor;

// grid: ceil(count / kFlatThreads).
__global__ void __launch_bounds__(kFlatThreads)
    scale_gradient(float* gradient, uint64_t count, const float* factor) {
  const uint64_t i = uint64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (i < count) gradient[i] = gradient[i] * *factor;
}
template <>
inline constexpr kernel::ScaleGradient::Call* kFunction<kernel::ScaleGradient> = scale_gradient;

}  // namespace gemmine::kernels::cuda
