// Runs CUDA C++ kernels as plain C++: every GPU thread is a fiber, and what hardware leaves
// undefined is reported or poisoned. A correctness oracle; it says nothing about speed.
//
// Include this before any kernels/cuda/device/*.cuh. One OS thread; blocks run one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>

#define GEMMINE_CUDASIM 1
#define __global__ inline
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// Plain statics: AddressSanitizer puts red zones around those, not around thread-local ones.
#define __shared__ static
// Lanes exchange values through each other's stacks, which is not a memory access of the kernel.
#define CUDASIM_RAW __attribute__((no_sanitize("thread")))

namespace cudasim {

struct Index {
  unsigned x, y, z;
};
struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

// std::source_location, which clang 14 does not have.
class Location {
 public:
  constexpr Location() = default;
  static constexpr Location current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE()) {
    Location where;
    where.file_ = file;
    where.line_ = line;
    return where;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr unsigned line() const { return line_; }

 private:
  const char* file_ = "";
  unsigned line_ = 0;
};

struct AsyncCopy {
  char* to;
  const char* from;
  unsigned bytes;
};
// What device code may know of its own thread.
struct Thread {
  Index index{};
  unsigned linear = 0;
  unsigned lane = 0;
  unsigned warp = 0;
  std::vector<AsyncCopy> copies;  // cp.async in flight, oldest first
  std::vector<size_t> groups;     // where in `copies` each committed group ends
};
inline Thread* current = nullptr;
inline Index block_index{};
inline Dim block_size;
inline Dim grid_size;
inline unsigned char* dynamic_shared = nullptr;

struct Counts {
  uint64_t switches, barriers, mma, ldmatrix, wavefronts;
};
inline Counts counts{};

// Who runs next: round robin; any thread; one warp as far as it can go (finds missing barriers).
enum class Order { in_order, random, greedy };
struct Schedule {
  Order order = Order::in_order;
  uint64_t seed = 1;
  bool blocks_unordered = false;  // for TSan: what one block wrote is not visible to the next
};

// Mistakes in the primitives, so that tests see the emulation notice each.
enum class Plant { none, no_barrier, lane_map, swapped_registers, no_zero_fill, short_wait };
inline Plant plant = Plant::none;

inline constexpr int kFailedExit = 42;
inline constexpr int kDeadlockExit = 43;
// Says where and what on stderr, and ends the process with kFailedExit.
[[noreturn]] void fail(const char* what, const Location& where);

using Collective = void (*)(uint32_t mask, const void* const* in, void* const* out);
// Each lane leaves its operands; the last one to arrive runs `operation` for all. Null orders only.
void warp_collective(uint32_t mask, const void* in, void* out, Collective operation,
                     const Location& where);
void block_barrier(const Location& where);
void launch(Dim grid, Dim block, size_t shared_bytes, const std::function<void()>& kernel,
            const Schedule& schedule);

template <class T>
T exchange(uint32_t mask, T value, unsigned source, const Location& where) {
  struct In {
    T value;
    unsigned source;
  } in{value, source};
  T out{};
  warp_collective(
      mask, &in, &out,
      [](uint32_t lanes, const void* const* i, void* const* o) CUDASIM_RAW {
        for (unsigned l = 0; l < 32; ++l) {
          if ((lanes >> l & 1) == 0) continue;
          const unsigned from = static_cast<const In*>(i[l])->source;
          T& to = *static_cast<T*>(o[l]);
          // From a lane outside the mask hardware gives anything.
          if ((lanes >> from & 1) == 0) {
            std::memset(&to, 0x5a, sizeof to);
          } else {
            to = static_cast<const In*>(i[from])->value;
          }
        }
      },
      where);
  return out;
}

}  // namespace cudasim

#define threadIdx (cudasim::current->index)
#define blockIdx cudasim::block_index
#define blockDim cudasim::block_size
#define gridDim cudasim::grid_size

inline void __syncthreads(cudasim::Location where = cudasim::Location::current()) {
  if (cudasim::plant != cudasim::Plant::no_barrier) cudasim::block_barrier(where);
}
inline void __syncwarp(uint32_t mask = ~0U,
                       cudasim::Location where = cudasim::Location::current()) {
  char nothing = 0;
  cudasim::warp_collective(mask, &nothing, &nothing, nullptr, where);
}
template <class T>
T __shfl_sync(uint32_t mask, T value, int source, int = 32,
              cudasim::Location where = cudasim::Location::current()) {
  return cudasim::exchange(mask, value, static_cast<unsigned>(source) & 31, where);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int = 32,
                  cudasim::Location where = cudasim::Location::current()) {
  const unsigned source = cudasim::current->lane ^ static_cast<unsigned>(bits);
  return cudasim::exchange(mask, value, source & 31, where);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned down, int = 32,
                   cudasim::Location where = cudasim::Location::current()) {
  const unsigned lane = cudasim::current->lane;
  return cudasim::exchange(mask, value, lane + down < 32 ? lane + down : lane, where);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate,
                              cudasim::Location where = cudasim::Location::current()) {
  uint32_t out = 0;
  cudasim::warp_collective(
      mask, &predicate, &out,
      [](uint32_t lanes, const void* const* i, void* const* o) CUDASIM_RAW {
        uint32_t bits = 0;
        for (unsigned l = 0; l < 32; ++l) {
          if ((lanes >> l & 1) != 0 && *static_cast<const int*>(i[l]) != 0) bits |= 1U << l;
        }
        for (unsigned l = 0; l < 32; ++l) {
          if ((lanes >> l & 1) != 0) *static_cast<uint32_t*>(o[l]) = bits;
        }
      },
      where);
  return out;
}
inline int __ffs(int bits) {
  return __builtin_ffs(bits);
}
inline uint32_t atomicAdd(uint32_t* at, uint32_t value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
inline uint32_t atomicMax(uint32_t* at, uint32_t value) {
  uint32_t seen = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (seen < value && !__atomic_compare_exchange_n(at, &seen, value, false, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED)) {
  }
  return seen;
}
inline uint32_t __funnelshift_r(uint32_t low, uint32_t high, uint32_t shift) {
  return static_cast<uint32_t>((uint64_t{high} << 32 | low) >> (shift & 31));
}

#include "tests/cuda/sim/cudasim_ptx.h"
