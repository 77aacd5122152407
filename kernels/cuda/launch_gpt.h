// The kernels of the gpt (PROTOCOL 10) by their types; launch.h has the list of all.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kNormRows = 4;         // of a block of norm kernels, a warp each
inline constexpr uint32_t kColumnParts = 8;      // threads that share a column of a sequence
inline constexpr uint32_t kTokenRows = 1024;     // looked through at once by token_gradient
inline constexpr uint32_t kSumPieces = 8;        // of a block of sum_pieces, a warp each
inline constexpr uint32_t kHeadTile = 64;        // queries, keys and features of a step
inline constexpr uint32_t kHeadThreads = 128;    // 4 warps of 16 rows
inline constexpr uint32_t kHeadBytes = 64 * 64;  // a tile of int8
inline constexpr uint32_t kHeadSumsLd = 64 + 8;  // of int32: rows 8 apart lie in other banks
inline constexpr uint32_t kHeadShared =          // four tiles, the sums, two words a row
    4 * kHeadBytes + 4 * kHeadTile * kHeadSumsLd + 8 * kHeadTile;

// One block's heads. A matrix of T rows has head a in columns a·d … a·d + d − 1.
struct HeadShape {
  uint32_t context;        // C
  uint32_t heads;          // A
  uint32_t head_width;     // d
  uint32_t ld;             // of Q, K, V and HO
  uint32_t transposed_ld;  // of their transposes and GO's
};
// PROTOCOL 10.4, 10.6; what a kernel does not read may be null.
struct HeadOperands {
  const int8_t *q, *k, *v, *ho;
  const int8_t *q_transposed, *k_transposed, *v_transposed, *go_transposed;
  const float *sq, *sk, *sv, *sh, *sg;
  float *row_max, *row_sum;  // m, l
  const float* delta;
};

// Part of a vector whose rowsum is one element of longsum's next level (PROTOCOL 2.8).
struct SumPiece {
  uint64_t first;
  uint32_t count;
};

template <>
struct Signature<Kernel::embed_rows> {
  using Type = void(const uint8_t* tokens, uint32_t token_bytes, uint32_t token_count,
                    uint64_t data_seed, uint32_t step_id, uint32_t context, const float* e,
                    const float* p, uint32_t cols, float* residual, uint32_t* inputs,
                    uint32_t* targets, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::norm_rows> {
  using Type = void(const float* residual, uint32_t rows, uint32_t cols, const float* gain,
                    const float* shift, float* mean, float* rate, int8_t* q, uint32_t ld, float* s,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::activation_rows> {
  using Type = void(const float* values, uint32_t cols, uint32_t activation, int8_t* q, uint32_t ld,
                    float* s, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::activation_gradient> {
  using Type = void(const float* y, uint64_t count, uint32_t activation, float* gradient);
};
template <>
struct Signature<Kernel::norm_gradient_rows> {
  using Type = void(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                    const float* gain, uint32_t is_layer, const float* mean, const float* rate,
                    const float* base, float* out, uint32_t* flag, uint32_t code_in,
                    uint32_t code_out);
};
template <>
struct Signature<Kernel::norm_gradient_runs> {
  using Type = void(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                    const float* mean, const float* rate, float* run_gain, float* run_shift);
};
template <>
struct Signature<Kernel::sum_runs> {
  using Type = void(const float* run_sums, uint32_t runs, uint32_t cols, float* sums);
};
template <>
struct Signature<Kernel::gemm_residual> {
  using Type = void(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld,
                    const float* sx, const float* sw, const float* bias, const float* before,
                    float* after, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::quantise_heads> {
  using Type = void(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::quantise_columns> {
  using Type = void(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::head_gradient_rows> {
  using Type = void(const float* d_mixed, const float* mixed, HeadShape shape, const float* sv,
                    float* delta, float* sh, float* inv_h, uint32_t* flag, uint32_t code_delta,
                    uint32_t code);
};
template <>
struct Signature<Kernel::head_gradient_columns> {
  using Type = void(const float* d_mixed, HeadShape shape, const float* row_sum, float* sg,
                    float* inv_g, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::round_head_gradients> {
  using Type = void(const float* d_mixed, uint32_t rows, HeadShape shape, const float* sv,
                    const float* row_sum, const float* inv_h, const float* inv_g,
                    StochasticKey of_ho, StochasticKey of_go, int8_t* ho, int8_t* go);
};
template <>
struct Signature<Kernel::attention_forward> {
  using Type = void(HeadShape shape, HeadOperands operands, float* mixed, uint32_t* flag,
                    uint32_t code);
};
template <>
struct Signature<Kernel::attention_by_query> {
  using Type = void(HeadShape shape, HeadOperands operands, StochasticKey of_u1, float* d_qkv,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::attention_by_key> {
  using Type = void(HeadShape shape, HeadOperands operands, StochasticKey of_u2, float* d_qkv,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::loss_logits> {
  using Type = void(float* logits, uint32_t classes, const uint32_t* targets, float inv_t,
                    float* mu, float* zeta, float* nll, uint32_t* flag, uint32_t code_mu,
                    uint32_t code_zeta);
};
template <>
struct Signature<Kernel::token_gradient> {
  using Type = void(const uint32_t* inputs, uint32_t rows, uint32_t cols, const float* d_residual,
                    uint32_t tied, float* gradient);
};
template <>
struct Signature<Kernel::position_gradient> {
  using Type = void(const float* d_residual, uint32_t sequences, uint64_t count, float* gradient);
};
template <>
struct Signature<Kernel::sum_pieces> {
  using Type = void(const float* values, const SumPiece* pieces, uint32_t count, uint32_t squared,
                    float* sums);
};
template <>
struct Signature<Kernel::clip_factor> {
  using Type = void(const float* sums, uint32_t count, float clip, float* factor);
};
template <>
struct Signature<Kernel::scale_gradient> {
  using Type = void(float* gradient, uint64_t count, const float* factor);
};

}  // namespace gemmine::kernels::cuda
