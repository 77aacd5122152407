// What the engines on a GPU keep of a matrix of int8, laid out as products read it and tiles are
// hashed.
#pragma once

#include "kernels/cuda/host/device_session.h"

namespace gemmine::kernels::cuda {

constexpr uint32_t pieces(uint64_t count, uint32_t size) {
  return static_cast<uint32_t>((count + size - 1) / size);
}

// rows × cols in rows of `ld` bytes: a multiple of 64, zeros after the columns and in rows up to a
// multiple of 16.
struct DeviceMatrix {
  int8_t* q = nullptr;
  uint32_t rows = 0;
  uint32_t cols = 0;
  uint32_t ld = 0;
  uint64_t bytes() const { return uint64_t{(rows + 15) / 16} * 16 * ld; }
};

inline DeviceMatrix matrix_of(int8_t* q, uint32_t rows, uint32_t cols) {
  return {q, rows, cols, pieces(cols, kGemmDepth) * kGemmDepth};
}
inline DeviceMatrix allocate_matrix(DeviceSession& session, uint32_t rows, uint32_t cols) {
  GEMMINE_CHECK(rows > 0 && cols > 0);
  DeviceMatrix matrix = matrix_of(nullptr, rows, cols);
  matrix.q = session.allocate<int8_t>(matrix.bytes());
  return matrix;
}

// to = fromᵀ; `to` may have held anything in its columns.
inline void queue_transpose(DeviceSession& session, const DeviceMatrix& from,
                            const DeviceMatrix& to) {
  GEMMINE_CHECK(from.rows == to.cols && from.cols == to.rows);
  session.run<kernel::Transpose>(
      {pieces(from.cols, kTransposeTile), pieces(from.rows, kTransposeTile)}, from.q, from.rows,
      from.cols, from.ld, to.q, to.ld);
}

// Blocks of a product of m × n sums.
constexpr Grid gemm_grid(uint32_t m, uint32_t n) {
  return {pieces(n, kGemmTile), pieces(m, kGemmTile)};
}

}  // namespace gemmine::kernels::cuda
