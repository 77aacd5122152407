// What PTX instructions on memory and warps mean, for the C++ that ptx2cpp.py writes. Written from
// the PTX ISA text; only the fiber engine and its queue of copies are shared with cudasim_ptx.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "tests/cuda/ptx/ptx_scalar.h"
#include "tests/cuda/sim/cudasim.h"

namespace gemmine::ptx {

using Where = cudasim::Location;
#define PTX_HERE const Where& where = Where::current()

// Shared memory is a window of addresses of its own; 0 is never in it.
inline constexpr u32 kSharedBase = 1024;
inline constexpr u64 kNoAddressBelow = 65536;
inline u32 shared_bytes = 0;  // static and dynamic ones of the kernel that runs

inline cudasim::Index thread_index() {
  return cudasim::current->index;
}
inline cudasim::Index block_index() {
  return cudasim::block_index;
}
inline cudasim::Dim block_size() {
  return cudasim::block_size;
}
inline cudasim::Dim grid_size() {
  return cudasim::grid_size;
}
inline u32 lane_index() {
  return cudasim::current->lane;
}
inline u64 address_of(const void* p) {
  return reinterpret_cast<u64>(p);
}
inline u64 generic_of(u64 shared) {
  return address_of(cudasim::dynamic_shared) + shared - kSharedBase;
}
inline u64 shared_of(u64 generic) {
  return generic - address_of(cudasim::dynamic_shared) + kSharedBase;
}

inline char* shared_at(u64 address, u32 bytes, PTX_HERE) {
  if (address < kSharedBase || address + bytes > u64{kSharedBase} + shared_bytes)
    cudasim::fail("shared address out of range", where);
  if (address % bytes != 0) cudasim::fail("misaligned shared access", where);
  return reinterpret_cast<char*>(cudasim::dynamic_shared) + (address - kSharedBase);
}
inline char* global_at(u64 address, u32 bytes, PTX_HERE) {
  if (address < kNoAddressBelow) cudasim::fail("null pointer", where);
  if (address % bytes != 0) cudasim::fail("misaligned access", where);
  return reinterpret_cast<char*>(address);
}
// Plain accesses (built with -fno-strict-aliasing), so that sanitizers see them as the kernel's.
template <class T>
T load(const char* at) {
  return *reinterpret_cast<const T*>(at);
}
template <class T>
void store(char* at, T value) {
  *reinterpret_cast<T*>(at) = value;
}

#define PTX_ATOMIC(name, fetch)                                      \
  template <class T>                                                 \
  T name(char* at, T value) {                                        \
    return fetch(reinterpret_cast<T*>(at), value, __ATOMIC_RELAXED); \
  }
PTX_ATOMIC(atomic_add, __atomic_fetch_add)
PTX_ATOMIC(atomic_and, __atomic_fetch_and)
PTX_ATOMIC(atomic_or, __atomic_fetch_or)
PTX_ATOMIC(atomic_xor, __atomic_fetch_xor)
PTX_ATOMIC(atomic_exch, __atomic_exchange_n)
#undef PTX_ATOMIC
template <class T>
T atomic_cas(char* at, T expected, T value) {
  __atomic_compare_exchange_n(reinterpret_cast<T*>(at), &expected, value, false, __ATOMIC_RELAXED,
                              __ATOMIC_RELAXED);
  return expected;
}
template <class T>
T atomic_max(char* at, T value) {
  T seen = __atomic_load_n(reinterpret_cast<T*>(at), __ATOMIC_RELAXED);
  while (seen < value && atomic_cas(at, seen, value) != seen)
    seen = __atomic_load_n(reinterpret_cast<T*>(at), __ATOMIC_RELAXED);
  return seen;
}
template <class T>
T atomic_min(char* at, T value) {
  T seen = __atomic_load_n(reinterpret_cast<T*>(at), __ATOMIC_RELAXED);
  while (value < seen && atomic_cas(at, seen, value) != seen)
    seen = __atomic_load_n(reinterpret_cast<T*>(at), __ATOMIC_RELAXED);
  return seen;
}

inline void barrier(PTX_HERE) {
  cudasim::block_barrier(where);
}
inline void warp_barrier(u32 mask, PTX_HERE) {
  char nothing = 0;
  cudasim::warp_collective(mask, &nothing, &nothing, nullptr, where);
}
inline void fence() {}  // fibers see memory in one order; weak ordering is out of this test's reach

inline void copy_async(char* to, u64 from, u32 bytes, PTX_HERE) {
  kernels::cuda::ptx::cp_async16(to, reinterpret_cast<const void*>(from), bytes, where);
}
inline void copy_commit() {
  kernels::cuda::ptx::cp_async_commit();
}
template <int kLeft>
void copy_wait() {
  kernels::cuda::ptx::cp_async_wait<kLeft>();
}

// ---- Warps
// ----------------------------------------------------------------------------------------

template <class T>
const T& in_of(const void* const* in, u32 lane) {
  return *static_cast<const T*>(in[lane]);
}
inline constexpr u32 kUndefined = 0x5a5a5a5a;  // what a lane outside of the mask gives

// The pseudo-code of shfl.sync; mode: u(p) d(own) b(fly) i(dx).
inline u32 shuffle(char mode, u32 a, u32 b, u32 c, u32 mask, bool* in_range, PTX_HERE) {
  struct In {
    u32 a, b, c;
    char mode;
  } in{a, b, c, mode};
  struct Out {
    u32 d;
    bool p;
  } out{};
  cudasim::warp_collective(
      mask, &in, &out,
      [](u32 lanes, const void* const* i, void* const* o) CUDASIM_RAW {
        for (int lane = 0; lane < 32; ++lane) {
          if ((lanes >> lane & 1) == 0) continue;
          const In& x = *static_cast<const In*>(i[lane]);
          const int b_value = x.b & 31;
          const int clamp = x.c & 31;
          const int segment = x.c >> 8 & 31;
          const int max_lane = (lane & segment) | (clamp & ~segment);
          int j = (lane & segment) | (b_value & ~segment);
          if (x.mode == 'u') j = lane - b_value;
          if (x.mode == 'd') j = lane + b_value;
          if (x.mode == 'b') j = lane ^ b_value;
          const bool p = x.mode == 'u' ? j >= max_lane : j <= max_lane;
          if (!p) j = lane;
          const bool there = (lanes >> j & 1) != 0;
          *static_cast<Out*>(o[lane]) = {there ? static_cast<const In*>(i[j])->a : kUndefined, p};
        }
      },
      where);
  if (in_range != nullptr) *in_range = out.p;
  return out.d;
}

// Folds the lanes' values in lane order and gives every lane the result.
template <class T, class Fold>
T fold_lanes(T value, u32 mask, const Where& where) {
  T out{};
  cudasim::warp_collective(
      mask, &value, &out,
      [](u32 lanes, const void* const* i, void* const* o) CUDASIM_RAW {
        T sum{};
        bool first = true;
        for (u32 l = 0; l < 32; ++l) {
          if ((lanes >> l & 1) == 0) continue;
          const T& x = *static_cast<const T*>(i[l]);
          sum = first ? x : Fold::of(sum, x);
          first = false;
        }
        for (u32 l = 0; l < 32; ++l) {
          if ((lanes >> l & 1) != 0) *static_cast<T*>(o[l]) = sum;
        }
      },
      where);
  return out;
}
struct Add {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return static_cast<T>(static_cast<u32>(a) + static_cast<u32>(b));
  }
};
struct Min {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return a > b ? a : b;
  }
};
struct And {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  CUDASIM_RAW static T of(T a, T b) {
    return a ^ b;
  }
};
template <class T, class Fold>
T redux(T value, u32 mask, PTX_HERE) {
  return fold_lanes<T, Fold>(value, mask, where);
}
inline u32 vote_ballot(bool p, u32 mask, PTX_HERE) {
  return fold_lanes<u32, Or>(p ? 1U << lane_index() : 0, mask, where);
}
inline bool vote_any(bool p, u32 mask, PTX_HERE) {
  return fold_lanes<u32, Or>(p ? 1 : 0, mask, where) != 0;
}
inline bool vote_all(bool p, u32 mask, PTX_HERE) {
  return fold_lanes<u32, And>(p ? 1 : 0, mask, where) != 0;
}

// ldmatrix of b16: lanes 8m … 8m+7 give the row addresses of matrix m; lane l receives elements
// 2 (l % 4) and the next of row l / 4, or with .trans of column l / 4.
template <u32 kMatrices>
void load_matrix(u32* const (&d)[kMatrices], u64 address, bool transposed, PTX_HERE) {
  struct In {
    u16 element[8];
    bool transposed;
  } in{};
  struct Out {
    u32 r[kMatrices];
  } out{};
  in.transposed = transposed;
  if (lane_index() < 8 * kMatrices) {
    const char* const row = shared_at(address, 16, where);
    for (u32 i = 0; i < 8; ++i)
      in.element[i] = load<u16>(row + 2 * i);
  }
  cudasim::warp_collective(
      ~0U, &in, &out,
      [](u32, const void* const* i, void* const* o) CUDASIM_RAW {
        for (u32 m = 0; m < kMatrices; ++m) {
          for (u32 l = 0; l < 32; ++l) {
            u32 word = 0;
            for (u32 half = 0; half < 2; ++half) {
              u32 row = l / 4;
              u32 col = 2 * (l % 4) + half;
              if (static_cast<const In*>(i[0])->transposed) std::swap(row, col);
              word |= u32{static_cast<const In*>(i[8 * m + row])->element[col]} << (16 * half);
            }
            static_cast<Out*>(o[l])->r[m] = word;
          }
        }
      },
      where);
  for (u32 m = 0; m < kMatrices; ++m)
    *d[m] = out.r[m];
}

// Row and column of element i of lane l: "Matrix Fragments for mma" of m16n8k32, m16n8k16 and
// m8n8k16 with .s8, formula by formula.
template <u32 kM, u32 kK>
struct Fragment {
  static constexpr u32 kA = kM * kK / 128;  // registers
  static constexpr u32 kB = kK * 8 / 128;
  static constexpr u32 kC = kM * 8 / 32;
  static constexpr u32 a_row(u32 l, u32 i) {
    if (kM == 8) return l >> 2;
    if (kK == 16) return i < 4 ? l >> 2 : (l >> 2) + 8;
    return i < 4 || (8 <= i && i < 12) ? l >> 2 : (l >> 2) + 8;
  }
  static constexpr u32 a_col(u32 l, u32 i) { return (l % 4) * 4 + (i & 3) + (i < 8 ? 0 : 16); }
  static constexpr u32 b_row(u32 l, u32 i) { return (l % 4) * 4 + (i & 3) + (i < 4 ? 0 : 16); }
  static constexpr u32 b_col(u32 l) { return l >> 2; }
  static constexpr u32 c_row(u32 l, u32 i) { return i < 2 ? l >> 2 : (l >> 2) + 8; }
  static constexpr u32 c_col(u32 l, u32 i) { return (l % 4) * 2 + (i & 1); }
};

template <u32 kM, u32 kK>
void matrix_mma(u32* const* d, const u32* a, const u32* b, const u32* c, PTX_HERE) {
  using F = Fragment<kM, kK>;
  struct In {
    u32 a[F::kA], b[F::kB], c[F::kC];
  } in{};
  struct Out {
    u32 d[F::kC];
  } out{};
  std::memcpy(in.a, a, sizeof in.a);
  std::memcpy(in.b, b, sizeof in.b);
  std::memcpy(in.c, c, sizeof in.c);
  cudasim::warp_collective(
      ~0U, &in, &out,
      [](u32, const void* const* x, void* const* o) CUDASIM_RAW {
        int16_t left[kM][kK];
        int16_t right[8][kK];
        for (u32 l = 0; l < 32; ++l) {
          const In& t = *static_cast<const In*>(x[l]);
          for (u32 i = 0; i < 4 * F::kA; ++i)
            left[F::a_row(l, i)][F::a_col(l, i)] = static_cast<s8>(t.a[i / 4] >> (8 * (i % 4)));
          for (u32 i = 0; i < 4 * F::kB; ++i)
            right[F::b_col(l)][F::b_row(l, i)] = static_cast<s8>(t.b[i / 4] >> (8 * (i % 4)));
        }
        for (u32 l = 0; l < 32; ++l) {
          for (u32 i = 0; i < F::kC; ++i) {
            s32 sum = 0;
            for (u32 k = 0; k < kK; ++k)
              sum += left[F::c_row(l, i)][k] * right[F::c_col(l, i)][k];
            // Wraps, as without .satfinite.
            static_cast<Out*>(o[l])->d[i] =
                static_cast<const In*>(x[l])->c[i] + static_cast<u32>(sum);
          }
        }
      },
      where);
  for (u32 i = 0; i < F::kC; ++i)
    *d[i] = out.d[i];
}
#undef PTX_HERE

// ---- What a translated file offers
// ----------------------------------------------------------------

struct Param {
  u32 offset, bytes;
};
struct Kernel {
  const char* name;  // mangled
  void (*run)(const char* arguments);
  u32 static_shared;
  u32 threads_max;  // .maxntid, 0 when not given
  const Param* params;
  u32 param_count;
};
// extern "C" const Kernel ptx_kernels[]; ends with a null name.

}  // namespace gemmine::ptx
