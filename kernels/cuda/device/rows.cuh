// Kernels that go through a matrix row by row: gather, quantise, transpose
// (PROTOCOL 2.4, 3.2, 3.3).
#pragma once

#include "kernels/cuda/arch/sm80.cuh"
#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels::cuda {

// The greatest of all threads' values, to every thread. All threads of the block call it.
__device__ __forceinline__ uint32_t block_max(uint32_t value) {
  __shared__ uint32_t of_warp[kRowThreads / 32];
#pragma unroll
  for (int bits = 16; bits > 0; bits /= 2) {
    const uint32_t other = __shfl_xor_sync(~0U, value, bits);
    value = other > value ? other : value;
  }
  if ((threadIdx.x & 31) == 0) of_warp[threadIdx.x >> 5] = value;
  __syncthreads();
#pragma unroll
  for (uint32_t w = 0; w < kRowThreads / 32; ++w)
    value = of_warp[w] > value ? of_warp[w] : value;
  return value;
}

// The row's scale from its absmax; thread 0 keeps it and raises the flag (PROTOCOL 2.1, 2.3).
__device__ __forceinline__ Scale keep_scale(uint32_t absmax, float* s, uint32_t row, uint32_t* flag,
                                            uint32_t code) {
  const Scale scale = scale_of(absmax);
  if (threadIdx.x == 0) {
    s[row] = scale.s;
    if (absmax >= kNotFinite) atomicMax(flag, code);
  }
  return scale;
}

// Batch row t of a step, quantised, and its label. grid: T blocks of kRowThreads.
__global__ void __launch_bounds__(kRowThreads)
    gather_rows(const uint8_t* records, uint32_t record_count, uint32_t cols, uint32_t label_bytes,
                uint64_t data_seed, uint32_t step_id, float scale, float shift, int8_t* q,
                uint32_t ld, float* s, uint32_t* labels, uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const uint32_t word = philox(data_seed, row, step_id, 0, kPurposeBatch).w[0];
  const uint64_t record = (uint64_t{word} * record_count) >> 32;
  const uint8_t* const bytes = records + record * (cols + label_bytes);
  uint32_t absmax = 0;
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    const uint32_t bits = magnitude(static_cast<float>(bytes[c]) * scale + shift);
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale of_row = keep_scale(block_max(absmax), s, row, flag, code);
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads)
    q[size_t{row} * ld + c] =
        round_nearest(static_cast<float>(bytes[c]) * scale + shift, of_row.inv);
  if (threadIdx.x == 0)
    labels[row] = label_bytes == 1 ? bytes[cols] : bytes[cols] | uint32_t{bytes[cols + 1]} << 8;
}
template <>
inline constexpr kernel::GatherRows::Call* kFunction<kernel::GatherRows> = gather_rows;

// RN by row of the values, or of max(+0, value). grid: a block of kRowThreads for each row.
__global__ void __launch_bounds__(kRowThreads)
    quantise_rows(const float* values, uint32_t cols, uint32_t through_relu, int8_t* q, uint32_t ld,
                  float* s, uint32_t* flag, uint32_t code) {
  const uint32_t row = blockIdx.x;
  const float* const from = values + size_t{row} * cols;
  uint32_t absmax = 0;
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    const float value = from[c];
    uint32_t bits = magnitude(value);
    // A NaN or an infinity counts even where the relu would hide it.
    if (through_relu != 0 && !(value > 0.0F) && bits < kNotFinite) bits = 0;
    absmax = bits > absmax ? bits : absmax;
  }
  const Scale of_row = keep_scale(block_max(absmax), s, row, flag, code);
  for (uint32_t c = threadIdx.x; c < cols; c += kRowThreads) {
    float value = from[c];
    if (through_relu != 0) value = value > 0.0F ? value : 0.0F;
    q[size_t{row} * ld + c] = round_nearest(value, of_row.inv);
  }
}
template <>
inline constexpr kernel::QuantiseRows::Call* kFunction<kernel::QuantiseRows> = quantise_rows;

// to[c][r] = from[r][c]; columns of `to` up to a multiple of 64 become zeros. grid: (columns,
// rows) / kTransposeTile blocks of kFlatThreads. `from` has zeros in rows up to a multiple of 16.
__global__ void __launch_bounds__(kFlatThreads)
    transpose(const int8_t* from, uint32_t rows, uint32_t cols, uint32_t from_ld, int8_t* to,
              uint32_t to_ld) {
  constexpr uint32_t kWords = kTransposeTile / 4;
  // One more word a row, so that a column's bytes lie in different banks.
  __shared__ uint32_t tile[kTransposeTile][kWords + 1];
  const uint32_t first_row = blockIdx.y * kTransposeTile;
  const uint32_t first_col = blockIdx.x * kTransposeTile;
  const uint32_t word = threadIdx.x % kWords;
#pragma unroll
  for (uint32_t r = threadIdx.x / kWords; r < kTransposeTile; r += kFlatThreads / kWords) {
    const int8_t* const source = from + size_t{first_row + r} * from_ld + first_col + word * 4;
    tile[r][word] = first_row + r < rows ? *reinterpret_cast<const uint32_t*>(source) : 0;
  }
  __syncthreads();
#pragma unroll
  for (uint32_t c = threadIdx.x / kWords; c < kTransposeTile; c += kFlatThreads / kWords) {
    uint32_t out = 0;
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      out |= (tile[word * 4 + i][c / 4] >> (c % 4 * 8) & 0xff) << (i * 8);
    int8_t* const target = to + size_t{first_col + c} * to_ld + first_row + word * 4;
    if (first_col + c < cols) *reinterpret_cast<uint32_t*>(target) = out;
  }
}
template <>
inline constexpr kernel::Transpose::Call* kFunction<kernel::Transpose> = transpose;

}  // namespace gemmine::kernels::cuda
