// Attention of one sequence and head (PROTOCOL 10.4, 10.6), by blocks of 16 queries.
//
// Nothing of size C² outlives a call. A thread's scratch has C² + about 150·C + 10·C·d bytes: the
// weights Π of one head as int8, a few rows of scores, and the operands packed.
#pragma once

#include <cstdint>

#include "kernels/base/aligned.h"
#include "kernels/cpu/matmul/matmul.h"
#include "kernels/cpu/passes/gpt_passes.h"
#include "kernels/cpu/passes/passes.h"

namespace gemmine::kernels {

// A head: `context` rows of `width` columns, both multiples of 16, of matrices whose rows are `ld`
// apart. Scalars by row and head are `heads` apart.
struct HeadView {
  size_t context;
  size_t width;
  size_t ld;
  size_t heads;
};
struct HeadForward {
  const int8_t *q, *k, *v;
  const float *sq, *sk;  // by row and head
  const float* sv;       // [width]
  float *m, *l;          // by row and head
  float* mixed;          // O, rows ld apart
};
struct HeadBackward {
  const int8_t *q, *k, *v, *ho, *go;
  const float *sq, *sk, *m, *l, *delta, *sh;  // by row and head
  const float* sg;                            // [width]
  StochasticKey key1, key2;                   // of U1 and U2
  size_t first_row;                           // of their matrix: t·A + a of query 0
  float *dq, *dk, *dv;                        // rows out_ld apart
  size_t out_ld;
};

class AttentionScratch {
 public:
  // Memory for heads of this shape, all of it.
  void reserve(const HeadView& shape);

  // m, l and O. Returns the largest magnitude of a score, in bits.
  uint32_t forward(const HeadView& shape, const HeadForward& head);
  // dq, dk and dv. Returns the largest magnitude of what U1 and U2 are made of, in bits; if that is
  // not finite, outputs are undefined.
  uint32_t backward(const HeadView& shape, const HeadBackward& head);

 private:
  // A right side of products whose contraction is a run of positions.
  struct Positions {
    Packed packed;                   // outer: features, k: positions
    AlignedVector<int32_t> prefix;   // [C/16 + 1][width]: sums over the positions before 16·i
    AlignedVector<int32_t> of_part;  // [width]: for one product
    void reserve(const HeadView& shape);
    void take(const HeadView& shape, const int8_t* data);
    // Of positions [16·first, 16·last).
    const int32_t* sums(size_t width, size_t first, size_t last);
  };
  // 16 rows as a left side.
  struct Left {
    const int8_t* data;
    size_t row_bytes;
    size_t quad_bytes;
    const int32_t* sums;
  };
  Left left_of(const int8_t* rows, size_t ld, size_t k);
  static QueryRow query(const HeadView& shape, const float* sq, size_t i);
  static QueryGradient gradient(const HeadView& shape, const HeadBackward& head, size_t i);
  uint32_t back_queries(const HeadView& shape, const HeadBackward& head);
  void back_keys(const HeadView& shape, const HeadBackward& head, size_t first_key);
  void transposed_product(const HeadView& shape, Positions& right, const int8_t* data,
                          size_t data_ld, size_t first_key, size_t keys);

  const Passes* passes_ = nullptr;
  const GptPasses* gpt_ = nullptr;
  const MatmulKernels* kernels_ = nullptr;
  Packed k_rows_, v_rows_;
  Positions keys_, values_, queries_, outputs_;  // by columns: K, V, Q, GO
  AlignedVector<int8_t> left_;                   // a packed left side
  AlignedVector<int32_t> left_sums_;
  AlignedVector<int32_t> acc_;           // [16][C], or 16 rows of a product over positions
  AlignedVector<float> row_;             // [C]: scores or dS of one query
  AlignedVector<float> sk_, inv2_, s2_;  // [C]
  AlignedVector<uint32_t> max2_;         // [C]
  AlignedVector<int8_t> u_;              // [16][C] of U1, [C][128] of U2
  AlignedVector<int8_t> weights_;        // [C][C]; [16][C] forward
  AlignedVector<int8_t> strip_;          // panels of Πᵀ or U2ᵀ
};

}  // namespace gemmine::kernels
