// Exact int8 x int8 -> int32 matrix products on the CPU: whole, packed, fused, or one block alone.
//
// Every operand is seen as "outer x k": c[i][j] = sum over p of a(i, p) * b(j, p). A linear layer
// with X[T,K], W[N,K] and output gradients G[T,N], all stored by rows, needs no transposition:
//   forward          C[T,N]: a = by_rows(X, K), b = by_rows(W, K), k = K
//   input gradient   C[T,K]: a = by_rows(G, N), b = by_columns(W, K), k = N
//   weight gradient  C[N,K]: a = by_columns(G, N), b = by_columns(X, K), k = T
//
// All 256 operand values are right, -128 too. Results are exact; modulo 2^32 where a true value
// leaves int32, which with k <= kMatmulKMax only k = kMatmulKMax times (-128)(-128) does. The bits
// do not depend on the CpuPath, the threads, or how a product is cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/base/thread_pool.h"
#include "kernels/cpu/matmul/kernels.h"

namespace gemmine::kernels {

inline constexpr size_t kMatmulKMax = size_t{1} << 17;

// Element (i, p) is data[i * outer_stride + p * k_stride]. No alignment is asked for, and nothing
// but these elements is read. Fast when one of the strides is 1, right for any.
struct Int8View {
  const int8_t* data;
  size_t outer_stride;
  size_t k_stride;

  Int8View from(size_t outer) const {
    return {data + outer * outer_stride, outer_stride, k_stride};
  }
};
inline Int8View by_rows(const int8_t* data, size_t ld) {
  return {data, ld, 1};
}
inline Int8View by_columns(const int8_t* data, size_t ld) {
  return {data, 1, ld};
}

// Of which side of a product an operand is packed as: some kernels want the right one's bytes
// moved.
enum class Side : uint8_t { left, right };

// An operand in the order the kernels read it, good for one side of any number of products by the
// MatmulKernels it was packed by. Layout: panels of kPackedLanes outer indices; in a panel, quads
// of 4 consecutive k; in a quad, lane after lane its 4 bytes. So element (i, p) is
//   panel(i / 16)[(p / 4) * 64 + (i % 16) * 4 + p % 4],
// with the bits of flip() changed.
// sums()[i] is the sum of element (i, p) over p.
class Packed {
 public:
  // Contents are undefined afterwards; memory is kept when it suffices. k <= kMatmulKMax.
  void resize(size_t outer, size_t k, uint8_t flip = 0);

  size_t outer() const { return outer_; }
  size_t k() const { return k_; }
  uint8_t flip() const { return flip_; }
  size_t panels() const { return (outer_ + kPackedLanes - 1) / kPackedLanes; }
  size_t quads() const { return (k_ + kPackedQuad - 1) / kPackedQuad; }
  size_t panel_bytes() const { return quads() * kPackedQuadBytes; }
  int8_t* panel(size_t p) { return bytes_.get() + p * panel_bytes(); }
  const int8_t* panel(size_t p) const { return bytes_.get() + p * panel_bytes(); }
  std::span<int32_t> sums() { return {sums_.get(), panels() * kPackedLanes}; }
  std::span<const int32_t> sums() const { return {sums_.get(), panels() * kPackedLanes}; }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  size_t outer_ = 0;
  size_t k_ = 0;
  uint8_t flip_ = 0;
  size_t bytes_capacity_ = 0;
  size_t sums_capacity_ = 0;
  std::unique_ptr<int8_t[], Free> bytes_;  // 64-byte aligned
  std::unique_ptr<int32_t[], Free> sums_;
};

void pack(Int8View view, size_t outer, size_t k, Side side, Packed& packed, ThreadPool& pool);
// As the right side, by this thread alone.
void pack(Int8View view, size_t outer, size_t k, Packed& packed);

// Called once for every finished piece of c, by the thread that made it and while it is in that
// thread's cache: c[row0 + r][col0 + s] = tile[r * ld + s] for r < rows, s < cols. row0 and col0
// are multiples of kPackedLanes, rows <= kPackedLanes, cols <= kTileColumnsMax. The tile is 64-byte
// aligned, ld a multiple of 16. Pieces come in any order and from several threads at once.
struct MatmulEpilogue {
  void (*call)(void* context, size_t row0, size_t rows, size_t col0, size_t cols,
               const int32_t* tile, size_t ld);
  void* context;
};
inline constexpr size_t kTileColumnsMax = 768;

// A matmul epilogue that calls f(row0, rows, col0, cols, tile, ld); f must outlive the product.
template <class F>
MatmulEpilogue epilogue_of(const F& f) {
  return {[](void* context, size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile,
             size_t ld) { (*static_cast<const F*>(context))(row0, rows, col0, cols, tile, ld); },
          const_cast<void*>(static_cast<const void*>(&f))};
}

// c[i * ldc + j], i < a.outer(), j < b.outer(); a.k() == b.k(); k == 0 makes zeros.
void matmul(const Packed& a, const Packed& b, int32_t* c, size_t ldc, ThreadPool& pool);
void matmul(const Packed& a, const Packed& b, MatmulEpilogue epilogue, ThreadPool& pool);
// Packs as far as the kernels need it, then multiplies.
struct PackedPair {
  Packed a;
  Packed b;
};
void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, PackedPair& packed,
            MatmulEpilogue epilogue, ThreadPool& pool);
// The same to memory. The packing memory stays with the calling thread for its next call.
void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, int32_t* c, size_t ldc,
            ThreadPool& pool);

}  // namespace gemmine::kernels
