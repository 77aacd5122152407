// PROTOCOL 10.6 and 10.7, as launches.
#include "kernels/cuda/host/gpt_engine.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr auto kRunRows = static_cast<uint32_t>(kColumnSumRun);
constexpr uint32_t kNoCode = 0;

// Blocks of a thread for each Philox counter of a rows × cols tensor; PROTOCOL 2.5.
Grid counter_grid(uint32_t rows, uint32_t cols) {
  return {pieces(uint64_t{rows} * pieces(cols, kStochasticGroup) * kStochasticLanes, kFlatThreads)};
}

}  // namespace

void CudaGptEngine::queue_backward(StepKey key) {
  const uint32_t head = gpt_.head_linear();
  const uint32_t last = gpt_.last_norm();
  queue_linear_gradient(head, logits_, norms_[last].d_value, key);
  const uint32_t blocks = gpt_.blocks;
  queue_norm_gradient(last, nullptr, d_residuals_[blocks], blocks);
  for (uint32_t i = blocks; i-- > 0;)
    queue_block_gradient(i, key);
  queue_embedding_gradient();
}

void CudaGptEngine::queue_block_gradient(uint32_t i, StepKey key) {
  queue_linear_gradient(4 * i + 3, d_residuals_[i + 1], wide_, key);
  const uint64_t hidden = uint64_t{program_.rows()} * gpt_.hidden;
  session_->run<kernel::ActivationGradient>({pieces(hidden, kFlatThreads)}, blocks_[i].up, hidden,
                                            static_cast<uint32_t>(gpt_.activation), wide_);
  queue_linear_gradient(4 * i + 2, wide_, norms_[2 * i + 1].d_value, key);
  queue_norm_gradient(2 * i + 1, d_residuals_[i + 1], middle_, kNotCommitted);
  queue_linear_gradient(4 * i + 1, middle_, d_mixed_, key);
  queue_attention_gradient(i, key);
  queue_linear_gradient(4 * i, wide_, norms_[2 * i].d_value, key);
  queue_norm_gradient(2 * i, middle_, d_residuals_[i], i);
}

// dX of dY; dW and db go to gradient_.
void CudaGptEngine::queue_linear_gradient(uint32_t index, const float* dy, float* dx, StepKey key) {
  const Spec& spec = program_.spec();
  const LinearInfo& shape = program_.linears()[index];
  const Linear& linear = linears_[index];
  const uint32_t rows = program_.rows();
  const uint32_t n = shape.outputs;
  const uint32_t k = shape.inputs;
  const uint32_t runs = pieces(rows, kRunRows);
  const uint32_t step_id = program_.step_id(key);
  uint32_t* const flag = report_.flag();
  session_->run<kernel::StochasticRows>({rows}, dy, n, linear.sw, spec.sr_seed, 16 * index + 5,
                                        step_id, linear.g1.q, linear.g1.ld, linear.s1, flag,
                                        code_for_values_of(TensorKind::g1, index));
  session_->run<kernel::ColumnRuns>({pieces(n, kRowThreads), runs}, dy, rows, n, linear.sx,
                                    linear.db_parts, run_max_);
  float* const db = shape.has_bias ? gradient_ + program_.bias_offset(index) : unused_sums_;
  session_->run<kernel::ColumnFinish>({pieces(n, kRowThreads)}, linear.db_parts, run_max_, runs, n,
                                      db, linear.s2, inv2_, flag,
                                      code_for_values_of(TensorKind::g2, index));
  session_->run<kernel::StochasticColumns>(counter_grid(rows, n), dy, rows, n, linear.sx, inv2_,
                                           spec.sr_seed, 16 * index + 7, step_id, linear.g2.q,
                                           linear.g2.ld);
  const DeviceMatrix x_transposed = matrix_of(x_transposed_, k, rows);
  const DeviceMatrix w_transposed = matrix_of(w_transposed_, k, n);
  const DeviceMatrix g2_transposed = matrix_of(g2_transposed_, n, rows);
  queue_transpose(*session_, linear.x, x_transposed);
  queue_transpose(*session_, linear.w, w_transposed);
  queue_transpose(*session_, linear.g2, g2_transposed);
  // Both products scale their rows, so both are this kernel.
  session_->run<kernel::GemmWeightGradient>(gemm_grid(n, k), g2_transposed.q, x_transposed.q, n, k,
                                            g2_transposed.ld,
                                            gradient_ + program_.weight_offset(index), linear.s2);
  session_->run<kernel::GemmWeightGradient>(gemm_grid(rows, k), linear.g1.q, w_transposed.q, rows,
                                            k, linear.g1.ld, dx, linear.s1);
}

void CudaGptEngine::queue_norm_gradient(uint32_t index, const float* base, float* out,
                                        uint32_t d_residual) {
  const NormState& norm = norms_[index];
  const uint32_t rows = program_.rows();
  const uint32_t width = gpt_.width;
  const uint32_t runs = pieces(rows, kRunRows);
  const uint32_t code_in = code_for(TensorKind::d_norm, index);
  const uint32_t code_out =
      d_residual == kNotCommitted ? kNoCode : code_for(TensorKind::d_residual, d_residual);
  session_->run<kernel::NormGradientRows>({pieces(rows, kNormRows)}, residuals_[index],
                                          norm.d_value, rows, width, norm.gain,
                                          gpt_.norm == Norm::layer ? 1U : 0U, norm.mean, norm.rate,
                                          base, out, report_.flag(), code_in, code_out);
  session_->run<kernel::NormGradientRuns>({pieces(width, kRowThreads), runs}, residuals_[index],
                                          norm.d_value, rows, width, norm.mean, norm.rate,
                                          norm.gain_parts, norm.shift_parts);
  float* const d_gain = gradient_ + program_.gain_offset(index);
  session_->run<kernel::SumRuns>({pieces(width, kRowThreads)}, norm.gain_parts, runs, width,
                                 d_gain);
  if (gpt_.norm == Norm::layer)
    session_->run<kernel::SumRuns>({pieces(width, kRowThreads)}, norm.shift_parts, runs, width,
                                   d_gain + width);
}

// dq, dk and dv in wide_ from the dO in d_mixed_.
void CudaGptEngine::queue_attention_gradient(uint32_t index, StepKey key) {
  const Block& block = blocks_[index];
  const HeadShape shape = head_shape();
  const uint32_t rows = program_.rows();
  const auto stochastic = [&](uint32_t n) {
    return StochasticKey{program_.spec().sr_seed, 64 * index + n, program_.step_id(key)};
  };
  uint32_t* const flag = report_.flag();
  const uint32_t code_delta = code_for(TensorKind::delta_dot, index);
  session_->run<kernel::HeadGradientRows>({rows}, d_mixed_, block.mixed, shape, block.sv,
                                          block.delta, block.sh, inv_h_, flag, code_delta,
                                          code_for_values_of(TensorKind::ho, index));
  session_->run<kernel::HeadGradientColumns>({pieces(gpt_.width, 32), program_.spec().batch},
                                             d_mixed_, shape, block.row_sum, block.sg, inv_g_, flag,
                                             code_for_values_of(TensorKind::go, index));
  session_->run<kernel::RoundHeadGradients>(counter_grid(rows, gpt_.width), d_mixed_, rows, shape,
                                            block.sv, block.row_sum, inv_h_, inv_g_, stochastic(9),
                                            stochastic(10), block.ho.q, block.go.q);
  queue_transpose(*session_, block.q, matrix_of(q_transposed_, gpt_.width, rows));
  queue_transpose(*session_, block.k, matrix_of(k_transposed_, gpt_.width, rows));
  queue_transpose(*session_, block.go, matrix_of(go_transposed_, gpt_.width, rows));
  const uint32_t code =
      report_.code_for("the attention gradient of block " + std::to_string(index));
  session_->run<kernel::AttentionByQuery>(head_grid(), shape, head_operands(block), stochastic(11),
                                          wide_, flag, code);
  session_->run<kernel::AttentionByKey>(head_grid(), shape, head_operands(block), stochastic(12),
                                        wide_, flag, code);
}

void CudaGptEngine::queue_embedding_gradient() {
  const uint64_t places = uint64_t{gpt_.context} * gpt_.width;
  session_->run<kernel::TokenGradient>({gpt_.vocabulary}, inputs_, program_.rows(), gpt_.width,
                                       d_residuals_[0], gpt_.tied ? 1U : 0U, gradient_);
  session_->run<kernel::PositionGradient>({pieces(places, kFlatThreads)}, d_residuals_[0],
                                          program_.spec().batch, places,
                                          gradient_ + uint64_t{gpt_.vocabulary} * gpt_.width);
}

void CudaGptEngine::queue_clip() {
  const auto parameters = static_cast<uint32_t>(program_.parameter_list().size());
  session_->run<kernel::SquareUnits>({pieces(units_max_, kUnits), parameters}, gradient_,
                                     unit_jobs_, squares_);
  const float* values = squares_;
  for (const SumLevel& level : clip_levels_) {
    session_->run<kernel::SumPieces>({pieces(level.count, kSumPieces)}, values, level.pieces,
                                     level.count, level.sums);
    values = level.sums;
  }
  session_->run<kernel::ClipFactor>({1}, values, parameters, program_.spec().clip, clip_,
                                    report_.flag(), report_.code_for("the norm of the gradient"));
  session_->run<kernel::ScaleGradient>({pieces(program_.parameters(), kFlatThreads)}, gradient_,
                                       program_.parameters(), clip_ + parameters);
}

void CudaGptEngine::queue_optimiser(StepKey key) {
  if (!clip_levels_.empty()) queue_clip();
  const uint32_t code = report_.code_for("the new state");
  for (const ParameterInfo& parameter : program_.parameter_list())
    state_.queue_update(parameter.offset, gradient_ + parameter.offset, parameter.count(),
                        parameter.decays(), key, report_.flag(), code);
}

}  // namespace gemmine::kernels::cuda
