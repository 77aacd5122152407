// The optimisers, one thread a parameter (PROTOCOL 3.4), and the layout probe of a device's start.
#pragma once

#include "kernels/cuda/arch/sm80.cuh"
#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {

// grid: ceil(count / kFlatThreads), here and below.
__global__ void __launch_bounds__(kFlatThreads)
    update_sgd(float* w, float* m, const float* g, uint64_t count, uint32_t decays, float lr,
               float mu, float wd, uint32_t* flag, uint32_t code) {
  const uint64_t i = uint64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (i >= count) return;
  const float old = w[i];
  const float gradient = decays != 0 ? g[i] + wd * old : g[i];
  const float moment = mu * m[i] + gradient;
  const float value = old - lr * moment;
  m[i] = moment;
  w[i] = value;
  if (magnitude(moment) >= kNotFinite || magnitude(value) >= kNotFinite) atomicMax(flag, code);
}
template <>
inline constexpr kernel::UpdateSgd::Call* kFunction<kernel::UpdateSgd> = update_sgd;

// correct1 = 1 / (1 − p1), correct2 = 1 / (1 − p2).
__global__ void __launch_bounds__(kFlatThreads)
    update_adamw(float* w, float* m, float* v, const float* g, uint64_t count, uint32_t decays,
                 float lr, float beta1, float beta2, float eps, float wd, float correct1,
                 float correct2, uint32_t* flag, uint32_t code) {
  const uint64_t i = uint64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (i >= count) return;
  const float old = w[i];
  const float first = beta1 * m[i] + (1.0F - beta1) * g[i];
  const float second = beta2 * v[i] + (1.0F - beta2) * (g[i] * g[i]);
  const float u = (first * correct1) / (square_root(second * correct2) + eps);
  const float value = decays != 0 ? old - lr * (u + wd * old) : old - lr * u;
  m[i] = first;
  v[i] = second;
  w[i] = value;
  if (magnitude(first) >= kNotFinite || magnitude(second) >= kNotFinite ||
      magnitude(value) >= kNotFinite)
    atomicMax(flag, code);
}
template <>
inline constexpr kernel::UpdateAdamw::Call* kFunction<kernel::UpdateAdamw> = update_adamw;

// D (16 × 16) = A (16 × 32) · Bᵀ by one warp, with copies, ldmatrix and mma exactly as gemm.cuh
// uses them: do this device's lanes hold what the text says they do? B has 8 rows; the other 8 do
// not exist, so that half of D is zeros.
__global__ void __launch_bounds__(32) layout_probe(const int8_t* a, const int8_t* b, int32_t* d) {
  unsigned char* const shared = ptx::dynamic_shared();  // A's 16 rows of 32 bytes, then B's
  unsigned char* const b_rows = shared + 512;
  const uint32_t lane = threadIdx.x;
  ptx::cp_async16(shared + lane * 16, a + lane * 16, 16);
  ptx::cp_async16(b_rows + lane * 16, b + (lane & 15) * 16, lane < 16 ? 16 : 0);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  ptx::FragmentA left;
  uint32_t r[4];
  ptx::ldmatrix_x4(left.r, shared + (lane & 15) * 32 + (lane >> 4) * 16);
  ptx::ldmatrix_x4(r, b_rows + ((lane & 7) + (lane >> 4 << 3)) * 32 + (lane >> 3 & 1) * 16);
#pragma unroll
  for (uint32_t j = 0; j < 2; ++j) {
    const ptx::FragmentB right{{r[j * 2], r[j * 2 + 1]}};
    int32_t sums[4] = {};
    ptx::mma_s8(sums, left, right);
#pragma unroll
    for (uint32_t e = 0; e < 4; ++e)
      d[((lane >> 2) + (e >> 1) * 8) * 16 + j * 8 + (lane & 3) * 2 + (e & 1)] = sums[e];
  }
}
template <>
inline constexpr kernel::LayoutProbe::Call* kFunction<kernel::LayoutProbe> = layout_probe;

}  // namespace gemmine::kernels::cuda
