// All inline PTX of gemmine: asynchronous copies, ldmatrix, the int8 tensor-core product.
//
// The emulation (tests/cuda/sim/cudasim_ptx.h) gives the same names, so kernels are one text for
// both.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>

namespace gemmine::kernels::cuda::ptx {

// Registers of one lane; which elements they hold: PTX ISA, "Matrix Fragments for mma.m16n8k32".
struct FragmentA {
  uint32_t r[4];  // rows 0–7, k 0–15; rows 8–15, k 0–15; rows 0–7, k 16–31; rows 8–15, k 16–31
};
struct FragmentB {
  uint32_t r[2];  // k 0–15; k 16–31
};

__device__ __forceinline__ unsigned char* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char raw[];
  return raw;
}

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// 16 bytes to shared memory: `bytes` (0 or 16) of them from `from`, the rest zeros. Both aligned.
__device__ __forceinline__ void cp_async16(void* to, const void* from, uint32_t bytes) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(bytes)
               : "memory");
#else
  uint4 value = make_uint4(0, 0, 0, 0);
  if (bytes != 0) value = *static_cast<const uint4*>(from);
  *static_cast<uint4*>(to) = value;
#endif
}
__device__ __forceinline__ void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Until at most kLeft of this thread's groups are in flight.
template <int kLeft>
__device__ __forceinline__ void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

// Four 8 × 16-byte matrices; lanes 8m … 8m+7 give the row addresses of matrix m.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

#if __CUDA_ARCH__ < 800
__device__ __forceinline__ void mma_m8n8k16(int32_t& d0, int32_t& d1, uint32_t a, uint32_t b) {
  asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
               : "+r"(d0), "+r"(d1)
               : "r"(a), "r"(b));
}
#endif

// D (16 × 8) += A (16 × 32, row) · B (32 × 8, col), int8 into int32.
__device__ __forceinline__ void mma_s8(int32_t (&d)[4], const FragmentA& a, const FragmentB& b) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
#else
  // Turing has only m8n8k16; the quarters of A lie in the same registers.
  mma_m8n8k16(d[0], d[1], a.r[0], b.r[0]);
  mma_m8n8k16(d[0], d[1], a.r[2], b.r[1]);
  mma_m8n8k16(d[2], d[3], a.r[1], b.r[0]);
  mma_m8n8k16(d[2], d[3], a.r[3], b.r[1]);
#endif
}

}  // namespace gemmine::kernels::cuda::ptx

#elif !defined(GEMMINE_CUDASIM)
#error "compile with nvcc, or include tests/cuda/sim/cudasim.h first"
#endif
