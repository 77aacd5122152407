// The emulated side of kernels/cuda/arch/sm80.cuh: the same names, with the meaning of the PTX ISA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tests/cuda/sim/cudasim.h"

namespace gemmine::kernels::cuda::ptx {

using cudasim::Location;
using cudasim::Plant;

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};

inline unsigned char* dynamic_shared() {
  return cudasim::dynamic_shared;
}

// In flight until waited for: reading the destination before that finds garbage.
inline void cp_async16(void* to, const void* from, unsigned bytes,
                       const Location& where = Location::current()) {
  if ((reinterpret_cast<uintptr_t>(to) & 15) != 0)
    cudasim::fail("cp.async: shared address not 16-byte aligned", where);
  if ((reinterpret_cast<uintptr_t>(from) & 15) != 0)
    cudasim::fail("cp.async: global address not 16-byte aligned", where);
  // Plain stores, because g++'s TSan does not see an inlined memset.
  auto* const words = static_cast<volatile uint64_t*>(to);
  words[0] = 0xd1d1d1d1d1d1d1d1;
  words[1] = 0xd1d1d1d1d1d1d1d1;
  if (cudasim::plant == Plant::no_zero_fill) bytes = 16;
  cudasim::current->copies.push_back(
      {static_cast<char*>(to), static_cast<const char*>(from), bytes});
}
inline void cp_async_commit() {
  cudasim::current->groups.push_back(cudasim::current->copies.size());
}
template <int kLeft>
void cp_async_wait() {
  cudasim::Thread& thread = *cudasim::current;
  const size_t left = kLeft + (cudasim::plant == Plant::short_wait ? 1 : 0);
  if (thread.groups.size() <= left) return;
  const size_t done = thread.groups.size() - left;
  const size_t end = thread.groups[done - 1];
  for (size_t i = 0; i < end; ++i) {
    const cudasim::AsyncCopy& copy = thread.copies[i];
    auto* const to = copy.to;
    for (unsigned b = 0; b < 16; ++b)
      to[b] = b < copy.bytes ? copy.from[b] : '\0';
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(end));
  thread.groups.erase(thread.groups.begin(), thread.groups.begin() + static_cast<ptrdiff_t>(done));
  for (size_t& group : thread.groups)
    group -= end;
}

// ldmatrix.x4 of b16: lanes 8m … 8m+7 give the rows of matrix m; lane l gets row l / 4, word l % 4.
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row,
                        const Location& where = Location::current()) {
  struct In {
    uint32_t w[4];
    uintptr_t address;
  } in{};
  struct Out {
    uint32_t w[4];
  } out{};
  if ((reinterpret_cast<uintptr_t>(row) & 15) != 0)
    cudasim::fail("ldmatrix: row address not 16-byte aligned", where);
  std::memcpy(in.w, row, 16);  // by the lane that gives the address, so that sanitizers blame it
  in.address = reinterpret_cast<uintptr_t>(row);
  cudasim::warp_collective(
      ~0U, &in, &out,
      [](uint32_t, const void* const* i, void* const* o) CUDASIM_RAW {
        ++cudasim::counts.ldmatrix;
        for (unsigned m = 0; m < 4; ++m) {
          for (unsigned l = 0; l < 32; ++l) {
            const unsigned from = cudasim::plant == Plant::lane_map ? (l / 4) ^ 1 : l / 4;
            static_cast<Out*>(o[l])->w[m] = static_cast<const In*>(i[8 * m + from])->w[l % 4];
          }
          // Wavefronts: 8 rows of 16 bytes over 32 banks of 4 bytes.
          uint64_t worst = 0;
          uint64_t users[8] = {};
          for (unsigned q = 0; q < 8; ++q) {
            const uint64_t n = ++users[static_cast<const In*>(i[8 * m + q])->address >> 4 & 7];
            worst = n > worst ? n : worst;
          }
          cudasim::counts.wavefronts += worst;
        }
      },
      where);
  std::memcpy(r, out.w, sizeof out.w);
}

// D += A (16 × 32, row) · B (32 × 8, col); "Matrix Fragments for mma.m16n8k32" of the PTX ISA.
inline void mma_s8(int32_t (&d)[4], const FragmentA& a, const FragmentB& b,
                   const Location& where = Location::current()) {
  struct In {
    FragmentA a;
    FragmentB b;
    int32_t c[4];
  } in{a, b, {d[0], d[1], d[2], d[3]}};
  struct Out {
    int32_t d[4];
  } out{};
  if (cudasim::plant == Plant::swapped_registers) std::swap(in.a.r[1], in.a.r[2]);
  cudasim::warp_collective(
      ~0U, &in, &out,
      [](uint32_t, const void* const* i, void* const* o) CUDASIM_RAW {
        ++cudasim::counts.mma;
        int8_t left[16][32];
        int8_t right[8][32];
        for (unsigned l = 0; l < 32; ++l) {
          const In& x = *static_cast<const In*>(i[l]);
          const unsigned group = l / 4;
          const unsigned byte = l % 4 * 4;
          std::memcpy(&left[group][byte], &x.a.r[0], 4);
          std::memcpy(&left[group + 8][byte], &x.a.r[1], 4);
          std::memcpy(&left[group][byte + 16], &x.a.r[2], 4);
          std::memcpy(&left[group + 8][byte + 16], &x.a.r[3], 4);
          std::memcpy(&right[group][byte], &x.b.r[0], 4);
          std::memcpy(&right[group][byte + 16], &x.b.r[1], 4);
        }
        for (unsigned l = 0; l < 32; ++l) {
          for (unsigned e = 0; e < 4; ++e) {
            const int8_t* const p = left[l / 4 + e / 2 * 8];
            const int8_t* const q = right[l % 4 * 2 + e % 2];
            int32_t sum = 0;
            for (unsigned k = 0; k < 32; ++k)
              sum += p[k] * q[k];
            const auto before = static_cast<uint32_t>(static_cast<const In*>(i[l])->c[e]);
            // Wraps, as without .satfinite.
            static_cast<Out*>(o[l])->d[e] =
                static_cast<int32_t>(before + static_cast<uint32_t>(sum));
          }
        }
      },
      where);
  std::memcpy(d, out.d, sizeof out.d);
}

}  // namespace gemmine::kernels::cuda::ptx
