// The inner loops of the int8 product, one set of functions per instruction set (see matmul.h).
//
// Files that implement them call nothing inline from outside themselves: the linker could keep
// their copy, made of instructions that another CPU lacks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemmine::kernels {

// The packed layout that all of them share; described at class Packed.
inline constexpr size_t kPackedLanes = 16;
inline constexpr size_t kPackedQuad = 4;
inline constexpr size_t kPackedQuadBytes = kPackedLanes * kPackedQuad;
// pack() is called for this many outer indices, or what is left of them.
inline constexpr size_t kPackStrip = 64;

// Where to read: element (i, p) is data[i * outer_stride + p * k_stride], i < outer, p < k.
struct PackSource {
  const int8_t* data;
  size_t outer_stride;
  size_t k_stride;
  size_t outer;  // 1 .. kPackStrip
  size_t k;
  uint8_t flip = 0;  // bits to change in every byte that is written; sums are of the bytes before
};

// One panel of a against some panels of b over a range of quads. The sums of these lanes are over
// all of k, also when this call sees only a part of it: whoever needs them to undo a shift of bytes
// does so once, when not accumulating.
struct TileJob {
  const int8_t* a;
  const int8_t* a_next;  // where a of the next call begins, worth fetching ahead
  size_t a_row_bytes;    // from a lane's quad to the next lane's: kPackedQuad when packed
  size_t a_quad_bytes;   // from a lane's quad to its next one: kPackedQuadBytes when packed
  const int32_t* a_sums;
  const int8_t* b;
  const int32_t* b_sums;
  size_t b_panel_bytes;
  size_t b_panels;
  size_t quads;
  size_t rows;  // 1 .. kPackedLanes; rows above may or may not be computed
  int32_t* c;   // kPackedLanes rows of b_panels * kPackedLanes columns
  size_t ldc;
  bool accumulate;  // add to c, or begin with zero
};

struct MatmulKernels {
  const char* name;
  // Writes whole panels, `panel_bytes` apart, zero-padded, and the sums of every lane.
  void (*pack)(const PackSource& source, int8_t* panels, size_t panel_bytes, int32_t* sums);
  void (*tile)(const TileJob& job);
  // Where not null, tile() takes an a that lies by rows as it is (k a multiple of kPackedQuad, and
  // all kPackedLanes rows there), and this sums its rows: sums[i] over data[i * stride + p], p < k.
  void (*row_sums)(const int8_t* data, size_t stride, size_t rows, size_t k, int32_t* sums);
  uint8_t right_flip;  // PackSource::flip of what tile() takes as b
};

extern const MatmulKernels kMatmulPortable;
#if defined(__x86_64__)
extern const MatmulKernels kMatmulAvx2;
extern const MatmulKernels kMatmulAvxVnni;
extern const MatmulKernels kMatmulAvx512;
#endif

// The set of cpu_path(); under CpuPath::avx2, AVX-VNNI where the CPU has it.
const MatmulKernels& matmul_kernels();
// Makes matmul_kernels() return `kernels`, or choose by itself again for null. Tests and benchmarks
// only, while no product runs; the CPU must have the instructions.
void set_matmul_kernels_for_test(const MatmulKernels* kernels);
bool cpu_has_avx_vnni();

}  // namespace gemmine::kernels
