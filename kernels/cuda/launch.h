// The kernels by name: what host code, plug-in and emulation have to agree on about each.
#pragma once

#include <cstdint>

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kGemmTile = 128;  // rows and columns of sums a block computes
inline constexpr uint32_t kGemmDepth = 64;  // bytes of k in a stage, and what `ld` is a multiple of
inline constexpr uint32_t kGemmStages = 3;  // copies in flight while one stage is multiplied
inline constexpr uint32_t kGemmThreads = 256;
inline constexpr uint32_t kGemmShared = kGemmStages * 2 * kGemmTile * kGemmDepth;
inline constexpr uint32_t kRowThreads = 128;       // per block, where a block has one row
inline constexpr uint32_t kFlatThreads = 256;      // per block, where a thread has one element
inline constexpr uint32_t kTransposeTile = 64;     // rows and columns
inline constexpr uint32_t kHashGroup = 64;         // chunks, and threads, of a block of hash_groups
inline constexpr uint32_t kHashRootThreads = 128;  // per block of hash_roots, which has one tensor
inline constexpr uint32_t kLossRows = 4;           // of a block of loss_rows, a warp each
inline constexpr uint32_t kMeanThreads = 512;      // of the one block of mean_loss
inline constexpr uint32_t kProbeShared = 1024;     // bytes of layout_probe: 16 + 16 rows of 32

// A committed byte string on the device (PROTOCOL 4.1). In an int8 matrix of rows of `ld` bytes
// chunk i is the tile of panel i / tiles_down; ld = 0: the bytes are one after another.
struct HashJob {
  const unsigned char* data;
  uint64_t bytes;
  uint32_t ld;
  uint32_t tiles_down;
  uint32_t chunks;
  uint32_t first_group;  // of kHashGroup chunks, in the array of all tensors' groups
};

enum class Kernel : uint32_t {
  gather_rows,
  quantise_rows,
  transpose,
  gemm_forward,
  gemm_input_gradient,
  gemm_weight_gradient,
  gemm_int32,
  loss_rows,
  mean_loss,
  column_runs,
  column_finish,
  stochastic_rows,
  stochastic_columns,
  update_sgd,
  update_adamw,
  hash_groups,
  hash_roots,
  layout_probe,
  // Of the gpt; launch_gpt.h.
  embed_rows,
  norm_rows,
  activation_rows,
  activation_gradient,
  norm_gradient_rows,
  norm_gradient_runs,
  sum_runs,
  gemm_residual,
  quantise_heads,
  quantise_columns,
  head_gradient_rows,
  head_gradient_columns,
  round_head_gradients,
  attention_forward,
  attention_by_query,
  attention_by_key,
  loss_logits,
  token_gradient,
  position_gradient,
  sum_pieces,
  clip_factor,
  scale_gradient,
};
inline constexpr uint32_t kKernels = 40;

// Every kernel that finds a NaN or an infinity raises *flag to `code`; 0 is none. Codes fall as the
// step goes on, so what remains is the first trouble.
template <Kernel>
struct Signature;
template <>
struct Signature<Kernel::gather_rows> {
  using Type = void(const uint8_t* records, uint32_t record_count, uint32_t cols,
                    uint32_t label_bytes, uint64_t data_seed, uint32_t step_id, float scale,
                    float shift, int8_t* q, uint32_t ld, float* s, uint32_t* labels, uint32_t* flag,
                    uint32_t code);
};
template <>
struct Signature<Kernel::quantise_rows> {
  using Type = void(const float* values, uint32_t cols, uint32_t through_relu, int8_t* q,
                    uint32_t ld, float* s, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::transpose> {
  using Type = void(const int8_t* from, uint32_t rows, uint32_t cols, uint32_t from_ld, int8_t* to,
                    uint32_t to_ld);
};
template <>
struct Signature<Kernel::gemm_forward> {
  using Type = void(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld, float* y,
                    const float* sx, const float* sw, const float* bias);
};
template <>
struct Signature<Kernel::gemm_input_gradient> {
  using Type = void(const int8_t* g1, const int8_t* w_transposed, uint32_t m, uint32_t n,
                    uint32_t ld, float* dy_below, const float* s1, const float* y_below);
};
template <>
struct Signature<Kernel::gemm_weight_gradient> {
  using Type = void(const int8_t* g2_transposed, const int8_t* x_transposed, uint32_t m, uint32_t n,
                    uint32_t ld, float* dw, const float* s2);
};
template <>
struct Signature<Kernel::gemm_int32> {
  using Type = void(const int8_t* a, const int8_t* b, uint32_t m, uint32_t n, uint32_t ld,
                    int32_t* c);
};
template <>
struct Signature<Kernel::loss_rows> {
  using Type = void(const float* logits, uint32_t rows, uint32_t classes, const uint32_t* labels,
                    float inv_t, float* dy, float* nll, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::mean_loss> {
  using Type = void(const float* nll, uint32_t rows, float inv_t, float* loss, uint32_t* flag,
                    uint32_t code);
};
template <>
struct Signature<Kernel::column_runs> {
  using Type = void(const float* dy, uint32_t rows, uint32_t cols, const float* sx, float* run_sums,
                    uint32_t* run_max);
};
template <>
struct Signature<Kernel::column_finish> {
  using Type = void(const float* run_sums, const uint32_t* run_max, uint32_t runs, uint32_t cols,
                    float* db, float* s2, float* inv2, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::stochastic_rows> {
  using Type = void(const float* dy, uint32_t cols, const float* sw, uint64_t sr_seed,
                    uint32_t tensor_id, uint32_t step_id, int8_t* q, uint32_t ld, float* s1,
                    uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::stochastic_columns> {
  using Type = void(const float* dy, uint32_t rows, uint32_t cols, const float* sx,
                    const float* inv2, uint64_t sr_seed, uint32_t tensor_id, uint32_t step_id,
                    int8_t* q, uint32_t ld);
};
template <>
struct Signature<Kernel::update_sgd> {
  using Type = void(float* w, float* m, const float* g, uint64_t count, uint32_t decays, float lr,
                    float mu, float wd, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::update_adamw> {
  using Type = void(float* w, float* m, float* v, const float* g, uint64_t count, uint32_t decays,
                    float lr, float beta1, float beta2, float eps, float wd, float correct1,
                    float correct2, uint32_t* flag, uint32_t code);
};
template <>
struct Signature<Kernel::hash_groups> {
  using Type = void(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs, uint32_t* roots);
};
template <>
struct Signature<Kernel::hash_roots> {
  using Type = void(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs,
                    uint32_t* scratch, uint32_t* roots);
};
template <>
struct Signature<Kernel::layout_probe> {
  using Type = void(const int8_t* a, const int8_t* b, int32_t* d);
};

}  // namespace gemmine::kernels::cuda
