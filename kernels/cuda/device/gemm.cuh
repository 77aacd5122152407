// The int8 product of a step: C[m][n] = Σ_k A[m][k] · B[n][k], and what becomes of each sum.
//
// Operands are row-major with rows of `ld` bytes, a multiple of 64, zeros after the real columns;
// every product of PROTOCOL 3.3 has this form because quantising also writes a transposed copy.
// A block computes 128 × 128 sums: 8 warps of 64 × 32, three stages of 64 bytes of k in shared
// memory (48 KiB). kernels/README.md has the arithmetic of these sizes.
#pragma once

#include "kernels/cuda/arch/sm80.cuh"
#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kTileBytes = kGemmTile * kGemmDepth;
inline constexpr uint32_t kStageBytes = 2 * kTileBytes;
static_assert(kGemmShared == kGemmStages * kStageBytes);
static_assert(kGemmShared <= 48 * 1024, "what a launch gets without asking for more");
static_assert(kTileBytes / 16 == 2 * kGemmThreads, "each thread copies two pieces an operand");

// Where 16-byte piece `piece` of row `row` of a tile lies: the exclusive or spreads the 8 rows of
// one ldmatrix over all 32 banks.
__device__ __forceinline__ uint32_t swizzled(uint32_t row, uint32_t piece) {
  return row * kGemmDepth + ((piece ^ (row >> 1 & 3)) << 4);
}

// Rows first_row … + 127 and bytes k … k + 63 of them; rows that do not exist become zeros.
__device__ __forceinline__ void load_tile(unsigned char* to, const int8_t* from, uint32_t first_row,
                                          uint32_t rows, uint32_t k, uint32_t ld) {
#pragma unroll
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t at = threadIdx.x + i * kGemmThreads;
    const uint32_t row = at >> 2;
    const uint32_t piece = at & 3;
    const bool real = first_row + row < rows;
    const int8_t* const source = from + size_t{real ? first_row + row : 0} * ld + k + piece * 16;
    ptx::cp_async16(to + swizzled(row, piece), source, real ? 16 : 0);
  }
}

// One stage: two steps of 32 bytes of k for the warp's 64 × 32 sums.
__device__ __forceinline__ void multiply_stage(const unsigned char* stage, uint32_t warp_row,
                                               uint32_t warp_col, int32_t (&sums)[4][4][4]) {
  const uint32_t lane = threadIdx.x & 31;
  const unsigned char* const b_tile = stage + kTileBytes;
#pragma unroll
  for (uint32_t step = 0; step < kGemmDepth / 32; ++step) {
    ptx::FragmentA a[4];
    ptx::FragmentB b[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      ptx::ldmatrix_x4(a[i].r,
                       stage + swizzled(warp_row + i * 16 + (lane & 15), step * 2 + (lane >> 4)));
#pragma unroll
    for (uint32_t j = 0; j < 2; ++j) {  // two n8 tiles at once
      uint32_t r[4];
      ptx::ldmatrix_x4(r, b_tile + swizzled(warp_col + j * 16 + (lane & 7) + (lane >> 4 << 3),
                                            step * 2 + (lane >> 3 & 1)));
      b[j * 2].r[0] = r[0];
      b[j * 2].r[1] = r[1];
      b[j * 2 + 1].r[0] = r[2];
      b[j * 2 + 1].r[1] = r[3];
    }
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j)
        ptx::mma_s8(sums[i][j], a[i], b[j]);
    }
  }
}

// Calls epilogue(row, col, sum) once for each of the m × n sums.
template <class Epilogue>
__device__ __forceinline__ void gemm(const int8_t* a, const int8_t* b, uint32_t m, uint32_t n,
                                     uint32_t ld, const Epilogue& epilogue) {
  unsigned char* const shared = ptx::dynamic_shared();
  const uint32_t warp = threadIdx.x >> 5;
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t warp_row = (warp >> 2) * 64;
  const uint32_t warp_col = (warp & 3) * 32;
  const uint32_t first_row = blockIdx.y * kGemmTile;
  const uint32_t first_col = blockIdx.x * kGemmTile;
  const uint32_t depth = ld / kGemmDepth;
  int32_t sums[4][4][4] = {};

  // A group is committed even when it is empty, so that the count to wait for stays the same.
#pragma unroll
  for (uint32_t s = 0; s + 1 < kGemmStages; ++s) {
    if (s < depth) {
      load_tile(shared + s * kStageBytes, a, first_row, m, s * kGemmDepth, ld);
      load_tile(shared + s * kStageBytes + kTileBytes, b, first_col, n, s * kGemmDepth, ld);
    }
    ptx::cp_async_commit();
  }
  uint32_t slot = 0;
  for (uint32_t d = 0; d < depth; ++d) {
    ptx::cp_async_wait<kGemmStages - 2>();
    // After it all see stage d, and all have left stage d − 1, whose slot is filled next.
    __syncthreads();
    const uint32_t ahead = d + kGemmStages - 1;
    if (ahead < depth) {
      const uint32_t free_slot = slot == 0 ? kGemmStages - 1 : slot - 1;
      unsigned char* const to = shared + free_slot * kStageBytes;
      load_tile(to, a, first_row, m, ahead * kGemmDepth, ld);
      load_tile(to + kTileBytes, b, first_col, n, ahead * kGemmDepth, ld);
    }
    ptx::cp_async_commit();
    multiply_stage(shared + slot * kStageBytes, warp_row, warp_col, sums);
    slot = slot + 1 == kGemmStages ? 0 : slot + 1;
  }
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) {
#pragma unroll
    for (uint32_t j = 0; j < 4; ++j) {
#pragma unroll
      for (uint32_t e = 0; e < 4; ++e) {
        const uint32_t row = first_row + warp_row + i * 16 + (lane >> 2) + (e >> 1) * 8;
        const uint32_t col = first_col + warp_col + j * 8 + (lane & 3) * 2 + (e & 1);
        if (row < m && col < n) epilogue(row, col, sums[i][j][e]);
      }
    }
  }
}

struct StoreSum {
  int32_t* c;
  uint32_t n;
  __device__ __forceinline__ void operator()(uint32_t row, uint32_t col, int32_t sum) const {
    c[size_t{row} * n + col] = sum;
  }
};
// The product alone: for tests and for the bench's comparison with cuBLASLt.
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_int32(const int8_t* a, const int8_t* b, uint32_t m, uint32_t n, uint32_t ld, int32_t* c) {
  gemm(a, b, m, n, ld, StoreSum{c, n});
}
template <>
inline constexpr kernel::GemmInt32::Call* kFunction<kernel::GemmInt32> = gemm_int32;

// Y[t,n] = float(Σ) · (sx[t] · sw[n]) + bias[n].
struct Dequantise {
  float* y;
  const float* sx;
  const float* sw;
  const float* bias;
  uint32_t n;
  __device__ __forceinline__ void operator()(uint32_t row, uint32_t col, int32_t sum) const {
    y[size_t{row} * n + col] = static_cast<float>(sum) * (sx[row] * sw[col]) + bias[col];
  }
};
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_forward(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld, float* y,
                 const float* sx, const float* sw, const float* bias) {
  gemm(x, w, m, n, ld, Dequantise{y, sx, sw, bias, n});
}
template <>
inline constexpr kernel::GemmForward::Call* kFunction<kernel::GemmForward> = gemm_forward;

// dY_{l−1}[t,k] = Y_{l−1}[t,k] > 0 ? float(Σ) · s1[t] : +0.
struct ThroughRelu {
  float* dy_below;
  const float* s1;
  const float* y_below;
  uint32_t n;
  __device__ __forceinline__ void operator()(uint32_t row, uint32_t col, int32_t sum) const {
    const size_t at = size_t{row} * n + col;
    const float dx = static_cast<float>(sum) * s1[row];
    dy_below[at] = y_below[at] > 0.0F ? dx : 0.0F;
  }
};
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_input_gradient(const int8_t* g1, const int8_t* w_transposed, uint32_t m, uint32_t n,
                        uint32_t ld, float* dy_below, const float* s1, const float* y_below) {
  gemm(g1, w_transposed, m, n, ld, ThroughRelu{dy_below, s1, y_below, n});
}
template <>
inline constexpr kernel::GemmInputGradient::Call* kFunction<kernel::GemmInputGradient> =
    gemm_input_gradient;

// dW[n,k] = float(Σ) · s2[n].
struct ScaleRows {
  float* dw;
  const float* s2;
  uint32_t n;
  __device__ __forceinline__ void operator()(uint32_t row, uint32_t col, int32_t sum) const {
    dw[size_t{row} * n + col] = static_cast<float>(sum) * s2[row];
  }
};
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_weight_gradient(const int8_t* g2_transposed, const int8_t* x_transposed, uint32_t m,
                         uint32_t n, uint32_t ld, float* dw, const float* s2) {
  gemm(g2_transposed, x_transposed, m, n, ld, ScaleRows{dw, s2, n});
}
template <>
inline constexpr kernel::GemmWeightGradient::Call* kFunction<kernel::GemmWeightGradient> =
    gemm_weight_gradient;

// R_{s+1} = R_s + Y of PROTOCOL 10.4.
struct AddToResidual {
  const float* sx;
  const float* sw;
  const float* bias;
  const float* before;
  float* after;
  uint32_t n;
  uint32_t* flag;
  uint32_t code;
  __device__ __forceinline__ void operator()(uint32_t row, uint32_t col, int32_t sum) const {
    const size_t at = size_t{row} * n + col;
    const float y = static_cast<float>(sum) * (sx[row] * sw[col]) + bias[col];
    const float value = before[at] + y;
    after[at] = value;
    if (magnitude(value) >= kNotFinite) atomicMax(flag, code);
  }
};
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_residual(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld,
                  const float* sx, const float* sw, const float* bias, const float* before,
                  float* after, uint32_t* flag, uint32_t code) {
  gemm(x, w, m, n, ld, AddToResidual{sx, sw, bias, before, after, n, flag, code});
}
template <>
inline constexpr kernel::GemmResidual::Call* kFunction<kernel::GemmResidual> = gemm_residual;

}  // namespace gemmine::kernels::cuda
