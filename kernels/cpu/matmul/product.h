// What the whole products of matmul.cc and views.cc are made of; nobody else's business.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "kernels/cpu/matmul/matmul.h"

namespace gemmine::kernels {

// Part of b kept in the second-level cache while rows of a pass over it.
inline constexpr size_t kCachedBytes = 640 << 10;
// Quads of one pass over k: long enough that reading and writing c in between costs little.
inline constexpr size_t kQuadsMax = 1024;
inline constexpr size_t kRowsMax = 512;
inline constexpr size_t kColumnStep = 48;  // what the widest inner loop takes at once
inline constexpr size_t kTasksPerThread = 8;
static_assert(kTileColumnsMax % kColumnStep == 0 && kColumnStep % kPackedLanes == 0);

constexpr size_t round_up(size_t value, size_t step) {
  return (value + step - 1) / step * step;
}
constexpr size_t pieces(size_t value, size_t piece) {
  return (value + piece - 1) / piece;
}

// The left side as the kernels read it, packed or rows as they lie: `outer` rows, from row0 on.
struct Left {
  const int8_t* data;
  size_t row0;
  size_t outer;
  size_t k;
  size_t panel_bytes;  // from 16 lanes to the next 16
  size_t row_bytes;
  size_t quad_bytes;
  const int32_t* sums;

  size_t panels() const { return pieces(outer, kPackedLanes); }
  size_t quads() const { return pieces(k, kPackedQuad); }
};

inline Left left_of(const Packed& a, size_t row0 = 0) {
  GEMMINE_CHECK(a.flip() == 0);
  return {a.panel(0),      row0,        a.outer(),        a.k(),
          a.panel_bytes(), kPackedQuad, kPackedQuadBytes, a.sums().data()};
}

// The right side, packed: all of it, or the columns from col0 on.
struct Right {
  const int8_t* data;
  size_t panel_bytes;
  const int32_t* sums;
  size_t col0;
};

inline Right right_of(const Packed& b, size_t col0 = 0) {
  return {b.panel(0), b.panel_bytes(), b.sums().data(), col0};
}

// Where results go: to memory, or to somebody who wants them while they are cached.
struct Output {
  int32_t* c;
  size_t ldc;
  const MatmulEpilogue* epilogue;
};

// Rows [row0, row0 + rows) and columns [col0, col0 + cols) of a product.
struct MatmulBlock {
  size_t row0, rows;
  size_t col0, cols;
};

class Product {
 public:
  Product(const Left& a, const Output& output, size_t quads_of_a_pass)
      : kernels_(matmul_kernels()), a_(a), output_(output), quads_(quads_of_a_pass) {}

  // The piece `at` of the product, b holding its columns. With sums_to, the sums of the left side's
  // rows, which then lie as they are, are computed there before they are used.
  void run(const MatmulBlock& at, const Right& b, int32_t* sums_to = nullptr) const;

 private:
  void run_strip(const MatmulBlock& strip, const Right& b, size_t quad, int32_t* out,
                 size_t ld) const;
  void deliver(const MatmulBlock& strip, const int32_t* tile, size_t ld) const;

  const MatmulKernels& kernels_;
  const Left a_;
  const Output output_;
  const size_t quads_;
};

void run_product(const Left& a, const Packed& b, const Output& output, ThreadPool& pool);
// kPackStrip outer indices, or what is left of them, of an operand that has its size already.
void pack_strip(Int8View view, Packed& packed, size_t strip);
uint8_t flip_of(Side side);

}  // namespace gemmine::kernels
