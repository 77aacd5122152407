// BLAKE3 of tensors where they lie: chunks and their tree; only 32 bytes a tensor leave (PROTOCOL
// 4).
#pragma once

#include "kernels/cuda/arch/sm80.cuh"
#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/launch.h"

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kHashChunkStart = 1;
inline constexpr uint32_t kHashChunkEnd = 2;
inline constexpr uint32_t kHashParent = 4;
inline constexpr uint32_t kHashRoot = 8;
inline constexpr uint32_t kHashKeyed = 16;

__device__ __forceinline__ void mix(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x,
                                    uint32_t y) {
  a += b + x;
  d = __funnelshift_r(d ^ a, d ^ a, 16);
  c += d;
  b = __funnelshift_r(b ^ c, b ^ c, 12);
  a += b + y;
  d = __funnelshift_r(d ^ a, d ^ a, 8);
  c += d;
  b = __funnelshift_r(b ^ c, b ^ c, 7);
}

// cv ← the new chaining value. Destroys m. Section 2.2 of the BLAKE3 paper.
__device__ __forceinline__ void compress(uint32_t (&cv)[8], uint32_t (&m)[16], uint32_t bytes,
                                         uint32_t counter, uint32_t flags) {
  uint32_t v[16] = {cv[0],      cv[1],      cv[2],      cv[3],      cv[4],   cv[5], cv[6], cv[7],
                    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, counter, 0,     bytes, flags};
#pragma unroll
  for (int round = 0; round < 7; ++round) {
    mix(v[0], v[4], v[8], v[12], m[0], m[1]);
    mix(v[1], v[5], v[9], v[13], m[2], m[3]);
    mix(v[2], v[6], v[10], v[14], m[4], m[5]);
    mix(v[3], v[7], v[11], v[15], m[6], m[7]);
    mix(v[0], v[5], v[10], v[15], m[8], m[9]);
    mix(v[1], v[6], v[11], v[12], m[10], m[11]);
    mix(v[2], v[7], v[8], v[13], m[12], m[13]);
    mix(v[3], v[4], v[9], v[14], m[14], m[15]);
    // Names of registers when unrolled, not moves.
    const uint32_t next[16] = {m[2], m[6],  m[3],  m[10], m[7], m[0],  m[4],  m[13],
                               m[1], m[11], m[12], m[5],  m[9], m[14], m[15], m[8]};
#pragma unroll
    for (int i = 0; i < 16; ++i)
      m[i] = next[i];
  }
#pragma unroll
  for (int i = 0; i < 8; ++i)
    cv[i] = v[i] ^ v[i + 8];
}

__device__ __forceinline__ void compress_parent(uint32_t (&cv)[8], const uint32_t* key,
                                                const uint32_t* children, uint32_t root_flag) {
  uint32_t m[16];
#pragma unroll
  for (int i = 0; i < 16; ++i)
    m[i] = children[i];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    cv[i] = key[i];
  compress(cv, m, 64, 0, kHashKeyed | kHashParent | root_flag);
}

// The chaining value of one chunk, or the root when it is the only one.
__device__ __forceinline__ void hash_chunk(uint32_t (&cv)[8], const HashJob& job,
                                           const uint32_t* key, uint32_t chunk) {
  const unsigned char* at = job.data + uint64_t{chunk} * kHashChunk;
  uint32_t stride = 64;
  if (job.panel_rows == 0 && job.ld != 0) {
    const uint32_t panel = chunk / job.tiles_down;
    at = job.data + uint64_t{chunk % job.tiles_down} * 16 * job.ld + uint64_t{panel} * 64;
    stride = job.ld;
  }
  const uint64_t left = job.bytes - uint64_t{chunk} * kHashChunk;
  const uint32_t bytes = left < kHashChunk ? static_cast<uint32_t>(left) : kHashChunk;
#pragma unroll
  for (int i = 0; i < 8; ++i)
    cv[i] = key[i];
  uint32_t flags = kHashKeyed | kHashChunkStart;
#pragma unroll 1
  for (uint32_t done = 0; done < bytes; done += 64) {
    const uint32_t size = bytes - done < 64 ? bytes - done : 64;
    const unsigned char* from = at + size_t{done / 64} * stride;
    uint32_t there = size;  // bytes in memory; what follows is padding
    if (job.panel_rows != 0) {
      const uint32_t row = chunk * (kHashChunk / kPanelRow) + done / kPanelRow;
      const uint32_t column = row / job.panel_rows * kPanelRow + done % kPanelRow;
      from = job.data + uint64_t{row % job.panel_rows} * job.ld + column;
      there = column < job.ld ? job.ld - column : 0;
      there = there < 64 ? there : 64;
    }
    const auto* const words = reinterpret_cast<const uint32_t*>(from);
    uint32_t m[16];
#pragma unroll
    for (uint32_t i = 0; i < 16; ++i)
      m[i] = i * 4 < there ? words[i] : 0;
    if (done + 64 >= bytes) flags |= kHashChunkEnd | (job.chunks == 1 ? kHashRoot : 0);
    compress(cv, m, size, chunk, flags);
    flags = kHashKeyed;
  }
}

// One level up for each of a block's threads: pairs of `from` become parents in `to`, an odd last
// one moves. The parent of exactly two is the root if root_flag says so.
__device__ __forceinline__ void parents(const uint32_t* from, uint32_t* to, uint32_t count,
                                        const uint32_t* key, uint32_t root_flag, uint32_t threads) {
  for (uint32_t i = threadIdx.x; i < (count + 1) / 2; i += threads) {
    uint32_t cv[8];
    if (2 * i + 1 < count) {
      compress_parent(cv, key, from + size_t{i} * 16, count == 2 ? root_flag : 0);
    } else {
#pragma unroll
      for (int w = 0; w < 8; ++w)
        cv[w] = from[size_t{i} * 16 + w];
    }
#pragma unroll
    for (int w = 0; w < 8; ++w)
      to[size_t{i} * 8 + w] = cv[w];
  }
}

// A block makes one chaining value of kHashGroup chunks, or the root of a tensor that has no more.
// grid: (groups of the largest job, jobs).
__global__ void __launch_bounds__(kHashGroup)
    hash_groups(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs, uint32_t* roots) {
  __shared__ uint32_t cvs[2][kHashGroup * 8];
  const HashJob job = jobs[blockIdx.y];
  const uint32_t first = blockIdx.x * kHashGroup;
  if (first >= job.chunks) return;
  uint32_t count = job.chunks - first < kHashGroup ? job.chunks - first : kHashGroup;
  if (threadIdx.x < count) {
    uint32_t cv[8];
    hash_chunk(cv, job, key, first + threadIdx.x);
#pragma unroll
    for (int w = 0; w < 8; ++w)
      cvs[0][threadIdx.x * 8 + w] = cv[w];
  }
  const bool whole = job.chunks <= kHashGroup;
  uint32_t side = 0;
  __syncthreads();
  for (; count > 1; count = (count + 1) / 2) {
    parents(cvs[side], cvs[side ^ 1], count, key, whole ? kHashRoot : 0, kHashGroup);
    side ^= 1;
    __syncthreads();
  }
  uint32_t* const to =
      whole ? roots + size_t{blockIdx.y} * 8 : group_cvs + size_t{job.first_group + blockIdx.x} * 8;
  if (threadIdx.x < 8) to[threadIdx.x] = cvs[side][threadIdx.x];
}
template <>
inline constexpr kernel::HashGroups::Call* kFunction<kernel::HashGroups> = hash_groups;

// The root above a tensor's groups. grid: a block of kHashRootThreads for each job. group_cvs is
// destroyed; scratch is as large.
__global__ void __launch_bounds__(kHashRootThreads)
    hash_roots(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs, uint32_t* scratch,
               uint32_t* roots) {
  const HashJob job = jobs[blockIdx.x];
  if (job.chunks <= kHashGroup) return;
  uint32_t* from = group_cvs + size_t{job.first_group} * 8;
  uint32_t* to = scratch + size_t{job.first_group} * 8;
  uint32_t count = (job.chunks + kHashGroup - 1) / kHashGroup;
  for (; count > 1; count = (count + 1) / 2) {
    parents(from, to, count, key, kHashRoot, kHashRootThreads);
    uint32_t* const swapped = from;
    from = to;
    to = swapped;
    __syncthreads();
  }
  if (threadIdx.x < 8) roots[size_t{blockIdx.x} * 8 + threadIdx.x] = from[threadIdx.x];
}
template <>
inline constexpr kernel::HashRoots::Call* kFunction<kernel::HashRoots> = hash_roots;

}  // namespace gemmine::kernels::cuda
