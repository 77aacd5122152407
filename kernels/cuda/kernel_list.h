// Every kernel once: its name, its block, its arguments; and the list of them all, from which their
// numbers, the plug-in's table of functions, the emulations and the gates follow.
//
// To add one: a struct and its line in `Kernels` here; beside its text in device/*.cuh, kFunction.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "kernels/cuda/launch.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels::cuda {

struct BlockSize {
  uint32_t threads;
  uint32_t shared_bytes = 0;  // dynamic; static shared memory is the kernel's own
};

// A kernel that finds a NaN or an infinity raises *flag to `code` by atomicMax; 0 is none. Earlier
// checks of a step have larger codes, so that the flag keeps the earliest.
namespace kernel {

struct GatherRows {
  static constexpr std::string_view kName = "gather_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const uint8_t* records, uint32_t record_count, uint32_t cols,
                    uint32_t label_bytes, uint64_t data_seed, uint32_t step_id, float scale,
                    float shift, int8_t* q, uint32_t ld, float* s, uint32_t* labels, uint32_t* flag,
                    uint32_t code);
};
struct QuantiseRows {
  static constexpr std::string_view kName = "quantise_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* values, uint32_t cols, uint32_t through_relu, int8_t* q,
                    uint32_t ld, float* s, uint32_t* flag, uint32_t code);
};
struct Transpose {
  static constexpr std::string_view kName = "transpose";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const int8_t* from, uint32_t rows, uint32_t cols, uint32_t from_ld, int8_t* to,
                    uint32_t to_ld);
};
struct GemmForward {
  static constexpr std::string_view kName = "gemm_forward";
  static constexpr BlockSize kBlock = {kGemmThreads, kGemmShared};
  using Call = void(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld, float* y,
                    const float* sx, const float* sw, const float* bias);
};
struct GemmInputGradient {
  static constexpr std::string_view kName = "gemm_input_gradient";
  static constexpr BlockSize kBlock = {kGemmThreads, kGemmShared};
  using Call = void(const int8_t* g1, const int8_t* w_transposed, uint32_t m, uint32_t n,
                    uint32_t ld, float* dy_below, const float* s1, const float* y_below);
};
struct GemmWeightGradient {
  static constexpr std::string_view kName = "gemm_weight_gradient";
  static constexpr BlockSize kBlock = {kGemmThreads, kGemmShared};
  using Call = void(const int8_t* g2_transposed, const int8_t* x_transposed, uint32_t m, uint32_t n,
                    uint32_t ld, float* dw, const float* s2);
};
struct GemmInt32 {
  static constexpr std::string_view kName = "gemm_int32";
  static constexpr BlockSize kBlock = {kGemmThreads, kGemmShared};
  using Call = void(const int8_t* a, const int8_t* b, uint32_t m, uint32_t n, uint32_t ld,
                    int32_t* c);
};
struct LossRows {
  static constexpr std::string_view kName = "loss_rows";
  static constexpr BlockSize kBlock = {kLossRows * 32};
  using Call = void(const float* logits, uint32_t rows, uint32_t classes, const uint32_t* labels,
                    float inv_t, float* dy, float* nll, uint32_t* flag, uint32_t code);
};
struct MeanLoss {
  static constexpr std::string_view kName = "mean_loss";
  static constexpr BlockSize kBlock = {kMeanThreads};
  using Call = void(const float* nll, uint32_t rows, float inv_t, float* loss, uint32_t* flag,
                    uint32_t code);
};
struct ColumnRuns {
  static constexpr std::string_view kName = "column_runs";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* dy, uint32_t rows, uint32_t cols, const float* sx, float* run_sums,
                    uint32_t* run_max);
};
struct ColumnFinish {
  static constexpr std::string_view kName = "column_finish";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* run_sums, const uint32_t* run_max, uint32_t runs, uint32_t cols,
                    float* db, float* s2, float* inv2, uint32_t* flag, uint32_t code);
};
struct StochasticRows {
  static constexpr std::string_view kName = "stochastic_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* dy, uint32_t cols, const float* sw, uint64_t sr_seed,
                    uint32_t tensor_id, uint32_t step_id, int8_t* q, uint32_t ld, float* s1,
                    uint32_t* flag, uint32_t code);
};
struct StochasticColumns {
  static constexpr std::string_view kName = "stochastic_columns";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const float* dy, uint32_t rows, uint32_t cols, const float* sx,
                    const float* inv2, uint64_t sr_seed, uint32_t tensor_id, uint32_t step_id,
                    int8_t* q, uint32_t ld);
};
struct UpdateSgd {
  static constexpr std::string_view kName = "update_sgd";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(float* w, float* m, const float* g, uint64_t count, uint32_t decays, float lr,
                    float mu, float wd, uint32_t* flag, uint32_t code);
};
struct UpdateAdamw {
  static constexpr std::string_view kName = "update_adamw";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(float* w, float* m, float* v, const float* g, uint64_t count, uint32_t decays,
                    float lr, float beta1, float beta2, float eps, float wd, float correct1,
                    float correct2, uint32_t* flag, uint32_t code);
};
struct HashGroups {
  static constexpr std::string_view kName = "hash_groups";
  static constexpr BlockSize kBlock = {kHashGroup};
  using Call = void(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs, uint32_t* roots);
};
struct HashRoots {
  static constexpr std::string_view kName = "hash_roots";
  static constexpr BlockSize kBlock = {kHashRootThreads};
  using Call = void(const HashJob* jobs, const uint32_t* key, uint32_t* group_cvs,
                    uint32_t* scratch, uint32_t* roots);
};
struct LayoutProbe {
  static constexpr std::string_view kName = "layout_probe";
  static constexpr BlockSize kBlock = {32, kProbeShared};
  using Call = void(const int8_t* a, const int8_t* b, int32_t* d);
};
struct EmbedRows {
  static constexpr std::string_view kName = "embed_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const uint8_t* tokens, uint32_t token_bytes, uint32_t token_count,
                    uint64_t data_seed, uint32_t step_id, uint32_t context, const float* e,
                    const float* p, uint32_t cols, float* residual, uint32_t* inputs,
                    uint32_t* targets, uint32_t* flag, uint32_t code);
};
struct NormRows {
  static constexpr std::string_view kName = "norm_rows";
  static constexpr BlockSize kBlock = {kNormRows * 32};
  using Call = void(const float* residual, uint32_t rows, uint32_t cols, const float* gain,
                    const float* shift, float* mean, float* rate, int8_t* q, uint32_t ld, float* s,
                    uint32_t* flag, uint32_t code);
};
struct ActivationRows {
  static constexpr std::string_view kName = "activation_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* values, uint32_t cols, uint32_t activation, int8_t* q, uint32_t ld,
                    float* s, uint32_t* flag, uint32_t code);
};
struct ActivationGradient {
  static constexpr std::string_view kName = "activation_gradient";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const float* y, uint64_t count, uint32_t activation, float* gradient);
};
struct NormGradientRows {
  static constexpr std::string_view kName = "norm_gradient_rows";
  static constexpr BlockSize kBlock = {kNormRows * 32};
  using Call = void(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                    const float* gain, uint32_t is_layer, const float* mean, const float* rate,
                    const float* base, float* out, uint32_t* flag, uint32_t code_in,
                    uint32_t code_out);
};
struct NormGradientRuns {
  static constexpr std::string_view kName = "norm_gradient_runs";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* residual, const float* d_value, uint32_t rows, uint32_t cols,
                    const float* mean, const float* rate, float* run_gain, float* run_shift);
};
struct SumRuns {
  static constexpr std::string_view kName = "sum_runs";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* run_sums, uint32_t runs, uint32_t cols, float* sums);
};
struct GemmResidual {
  static constexpr std::string_view kName = "gemm_residual";
  static constexpr BlockSize kBlock = {kGemmThreads, kGemmShared};
  using Call = void(const int8_t* x, const int8_t* w, uint32_t m, uint32_t n, uint32_t ld,
                    const float* sx, const float* sw, const float* bias, const float* before,
                    float* after, uint32_t* flag, uint32_t code);
};
struct QuantiseHeads {
  static constexpr std::string_view kName = "quantise_heads";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                    uint32_t* flag, uint32_t code);
};
struct QuantiseColumns {
  static constexpr std::string_view kName = "quantise_columns";
  static constexpr BlockSize kBlock = {kColumnParts * 32};
  using Call = void(const float* values, uint32_t from_ld, HeadShape shape, int8_t* q, float* s,
                    uint32_t* flag, uint32_t code);
};
struct HeadGradientRows {
  static constexpr std::string_view kName = "head_gradient_rows";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(const float* d_mixed, const float* mixed, HeadShape shape, const float* sv,
                    float* delta, float* sh, float* inv_h, uint32_t* flag, uint32_t code_delta,
                    uint32_t code);
};
struct HeadGradientColumns {
  static constexpr std::string_view kName = "head_gradient_columns";
  static constexpr BlockSize kBlock = {kColumnParts * 32};
  using Call = void(const float* d_mixed, HeadShape shape, const float* row_sum, float* sg,
                    float* inv_g, uint32_t* flag, uint32_t code);
};
struct RoundHeadGradients {
  static constexpr std::string_view kName = "round_head_gradients";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const float* d_mixed, uint32_t rows, HeadShape shape, const float* sv,
                    const float* row_sum, const float* inv_h, const float* inv_g,
                    StochasticKey of_ho, StochasticKey of_go, int8_t* ho, int8_t* go);
};
struct AttentionForward {
  static constexpr std::string_view kName = "attention_forward";
  static constexpr BlockSize kBlock = {kHeadThreads, kHeadShared};
  using Call = void(HeadShape shape, HeadOperands operands, float* mixed, uint32_t* flag,
                    uint32_t code);
};
struct AttentionByQuery {
  static constexpr std::string_view kName = "attention_by_query";
  static constexpr BlockSize kBlock = {kHeadThreads, kHeadShared};
  using Call = void(HeadShape shape, HeadOperands operands, StochasticKey of_u1, float* d_qkv,
                    uint32_t* flag, uint32_t code);
};
struct AttentionByKey {
  static constexpr std::string_view kName = "attention_by_key";
  static constexpr BlockSize kBlock = {kHeadThreads, kHeadShared};
  using Call = void(HeadShape shape, HeadOperands operands, StochasticKey of_u2, float* d_qkv,
                    uint32_t* flag, uint32_t code);
};
struct LossLogits {
  static constexpr std::string_view kName = "loss_logits";
  static constexpr BlockSize kBlock = {kRowThreads};
  using Call = void(float* logits, uint32_t classes, const uint32_t* targets, float inv_t,
                    float* mu, float* zeta, float* nll, uint32_t* flag, uint32_t code_mu,
                    uint32_t code_zeta);
};
struct TokenGradient {
  static constexpr std::string_view kName = "token_gradient";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const uint32_t* inputs, uint32_t rows, uint32_t cols, const float* d_residual,
                    uint32_t tied, float* gradient);
};
struct PositionGradient {
  static constexpr std::string_view kName = "position_gradient";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(const float* d_residual, uint32_t sequences, uint64_t count, float* gradient);
};
struct SquareUnits {
  static constexpr std::string_view kName = "square_units";
  static constexpr BlockSize kBlock = {kUnits * 32};
  using Call = void(const float* gradient, const UnitJob* jobs, float* squares);
};
struct SumPieces {
  static constexpr std::string_view kName = "sum_pieces";
  static constexpr BlockSize kBlock = {kSumPieces * 32};
  using Call = void(const float* values, const SumPiece* pieces, uint32_t count, float* sums);
};
struct ClipFactor {
  static constexpr std::string_view kName = "clip_factor";
  static constexpr BlockSize kBlock = {32};
  using Call = void(const float* sums, uint32_t count, float clip, float* cf, uint32_t* flag,
                    uint32_t code);
};
struct ScaleGradient {
  static constexpr std::string_view kName = "scale_gradient";
  static constexpr BlockSize kBlock = {kFlatThreads};
  using Call = void(float* gradient, uint64_t count, const float* factor);
};

}  // namespace kernel

// A kernel's place in Kernels: what crosses the C boundary of the plug-in.
enum class KernelId : uint32_t {};

template <class... K>
struct KernelList {
  static constexpr uint32_t kCount = sizeof...(K);
  static constexpr std::array<std::string_view, kCount> kNames = {K::kName...};
  static constexpr std::array<BlockSize, kCount> kBlocks = {K::kBlock...};

  template <class Wanted>
  static constexpr uint32_t place() {
    uint32_t at = 0;
    const bool found = ((std::is_same_v<Wanted, K> || (++at, false)) || ...);
    return found ? at : kCount;
  }
  // visit.template operator()<K>() for each kernel, in order.
  template <class Visitor>
  static constexpr void visit(Visitor&& visit) {
    (visit.template operator()<K>(), ...);
  }
};

using Kernels = KernelList<
    kernel::GatherRows, kernel::QuantiseRows, kernel::Transpose, kernel::GemmForward,
    kernel::GemmInputGradient, kernel::GemmWeightGradient, kernel::GemmInt32, kernel::LossRows,
    kernel::MeanLoss, kernel::ColumnRuns, kernel::ColumnFinish, kernel::StochasticRows,
    kernel::StochasticColumns, kernel::UpdateSgd, kernel::UpdateAdamw, kernel::HashGroups,
    kernel::HashRoots, kernel::LayoutProbe, kernel::EmbedRows, kernel::NormRows,
    kernel::ActivationRows, kernel::ActivationGradient, kernel::NormGradientRows,
    kernel::NormGradientRuns, kernel::SumRuns, kernel::GemmResidual, kernel::QuantiseHeads,
    kernel::QuantiseColumns, kernel::HeadGradientRows, kernel::HeadGradientColumns,
    kernel::RoundHeadGradients, kernel::AttentionForward, kernel::AttentionByQuery,
    kernel::AttentionByKey, kernel::LossLogits, kernel::TokenGradient, kernel::PositionGradient,
    kernel::SquareUnits, kernel::SumPieces, kernel::ClipFactor, kernel::ScaleGradient>;

template <class K>
constexpr KernelId id_of() {
  static_assert(Kernels::place<K>() < Kernels::kCount, "it is missing in Kernels");
  return KernelId{Kernels::place<K>()};
}

}  // namespace gemmine::kernels::cuda
