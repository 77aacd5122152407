// PROTOCOL 10.4 and 10.5, as launches.
#include "kernels/cuda/host/gpt_engine.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {

uint32_t CudaGptEngine::code_for(TensorKind kind, uint32_t layer) {
  return report_.code_for(std::string(tensor_name(kind)) + "_" + std::to_string(layer));
}
uint32_t CudaGptEngine::code_for_values_of(TensorKind kind, uint32_t layer) {
  return report_.code_for("what " + std::string(tensor_name(kind)) + "_" + std::to_string(layer) +
                          " is made of");
}

HeadShape CudaGptEngine::head_shape() const {
  return {gpt_.context, gpt_.heads, gpt_.head_width(), matrix_of(nullptr, 1, gpt_.width).ld,
          matrix_of(nullptr, 1, program_.rows()).ld};
}

HeadOperands CudaGptEngine::head_operands(const Block& block) const {
  return {.q = block.q.q,
          .k = block.k.q,
          .v = block.v.q,
          .ho = block.ho.q,
          .q_transposed = q_transposed_,
          .k_transposed = k_transposed_,
          .v_transposed = v_transposed_,
          .go_transposed = go_transposed_,
          .sq = block.sq,
          .sk = block.sk,
          .sv = block.sv,
          .sh = block.sh,
          .sg = block.sg,
          .row_max = block.row_max,
          .row_sum = block.row_sum,
          .delta = block.delta};
}

Grid CudaGptEngine::head_grid() const {
  return {program_.spec().batch * gpt_.heads * pieces(gpt_.context, kHeadTile) *
          pieces(gpt_.head_width(), kHeadTile)};
}

void CudaGptEngine::queue_forward(StepKey key) {
  const Spec& spec = program_.spec();
  const float* const places = state_.theta(uint64_t{gpt_.vocabulary} * gpt_.width);
  session_->run<kernel::EmbedRows>({program_.rows()}, records_, gpt_.token_bytes, spec.records,
                                   spec.data_seed, program_.step_id(key), gpt_.context,
                                   state_.theta(0), places, gpt_.width, residuals_[0], inputs_,
                                   targets_, report_.flag(), code_for(TensorKind::residual, 0));
  for (uint32_t i = 0; i < gpt_.blocks; ++i) {
    queue_norm(2 * i);
    queue_linear(4 * i, wide_);
    queue_attention(i);
    const Linear& out = linears_[4 * i + 1];
    session_->run<kernel::QuantiseRows>({program_.rows()}, blocks_[i].mixed, gpt_.width, 0U,
                                        out.x.q, out.x.ld, out.sx, report_.flag(),
                                        code_for_values_of(TensorKind::x, 4 * i + 1));
    queue_linear_to_residual(4 * i + 1, 2 * i + 1);
    queue_norm(2 * i + 1);
    queue_linear(4 * i + 2, blocks_[i].up);
    const Linear& down = linears_[4 * i + 3];
    session_->run<kernel::ActivationRows>(
        {program_.rows()}, blocks_[i].up, gpt_.hidden, static_cast<uint32_t>(gpt_.activation),
        down.x.q, down.x.ld, down.sx, report_.flag(), code_for_values_of(TensorKind::x, 4 * i + 3));
    queue_linear_to_residual(4 * i + 3, 2 * i + 2);
  }
  queue_norm(gpt_.last_norm());
  queue_linear(gpt_.head_linear(), logits_);
}

void CudaGptEngine::queue_norm(uint32_t index) {
  const NormState& norm = norms_[index];
  const float* const gain = state_.theta(program_.gain_offset(index));
  session_->copy(norm.gain, gain, gpt_.width * sizeof(float));
  if (norm.shift != nullptr)
    session_->copy(norm.shift, gain + gpt_.width, gpt_.width * sizeof(float));
  const uint32_t behind = 2 * index;  // the linear
  const Linear& linear = linears_[behind];
  session_->run<kernel::NormRows>({pieces(program_.rows(), kNormRows)}, residuals_[index],
                                  program_.rows(), gpt_.width, norm.gain, norm.shift, norm.mean,
                                  norm.rate, linear.x.q, linear.x.ld, linear.sx, report_.flag(),
                                  code_for_values_of(TensorKind::x, behind));
}

void CudaGptEngine::queue_weights(uint32_t index) {
  const LinearInfo& shape = program_.linears()[index];
  const Linear& linear = linears_[index];
  session_->run<kernel::QuantiseRows>({shape.outputs}, state_.theta(program_.weight_offset(index)),
                                      shape.inputs, 0U, linear.w.q, linear.w.ld, linear.sw,
                                      report_.flag(), code_for_values_of(TensorKind::w, index));
  if (shape.has_bias)
    session_->copy(linear.b, state_.theta(program_.bias_offset(index)),
                   shape.outputs * sizeof(float));
}

void CudaGptEngine::queue_linear(uint32_t index, float* y) {
  queue_weights(index);
  const Linear& linear = linears_[index];
  const uint32_t outputs = program_.linears()[index].outputs;
  session_->run<kernel::GemmForward>(gemm_grid(program_.rows(), outputs), linear.x.q, linear.w.q,
                                     program_.rows(), outputs, linear.x.ld, y, linear.sx, linear.sw,
                                     linear.b);
}

void CudaGptEngine::queue_linear_to_residual(uint32_t index, uint32_t residual) {
  queue_weights(index);
  const Linear& linear = linears_[index];
  session_->run<kernel::GemmResidual>(
      gemm_grid(program_.rows(), gpt_.width), linear.x.q, linear.w.q, program_.rows(), gpt_.width,
      linear.x.ld, linear.sx, linear.sw, linear.b, residuals_[residual - 1], residuals_[residual],
      report_.flag(), code_for(TensorKind::residual, residual));
}

// O of a block from the q, k and v in wide_.
void CudaGptEngine::queue_attention(uint32_t index) {
  const Block& block = blocks_[index];
  const HeadShape shape = head_shape();
  const uint32_t width = gpt_.width;
  uint32_t* const flag = report_.flag();
  session_->run<kernel::QuantiseHeads>({program_.rows()}, wide_, 3 * width, shape, block.q.q,
                                       block.sq, flag, code_for_values_of(TensorKind::q, index));
  session_->run<kernel::QuantiseHeads>({program_.rows()}, wide_ + width, 3 * width, shape,
                                       block.k.q, block.sk, flag,
                                       code_for_values_of(TensorKind::k, index));
  session_->run<kernel::QuantiseColumns>({pieces(width, 32), program_.spec().batch},
                                         wide_ + 2 * width, 3 * width, shape, block.v.q, block.sv,
                                         flag, code_for_values_of(TensorKind::v, index));
  queue_transpose(*session_, block.v, matrix_of(v_transposed_, width, program_.rows()));
  session_->run<kernel::AttentionForward>(
      head_grid(), shape, head_operands(block), block.mixed, flag,
      report_.code_for("a score of m_" + std::to_string(index)));
}

void CudaGptEngine::queue_loss() {
  const uint32_t rows = program_.rows();
  const float inv_t = 1.0F / static_cast<float>(rows);
  uint32_t* const flag = report_.flag();
  const uint32_t code_mu = code_for(TensorKind::loss_max, 0);
  const uint32_t code_zeta = code_for(TensorKind::loss_sum, 0);
  session_->run<kernel::LossLogits>({rows}, logits_, gpt_.vocabulary, targets_, inv_t, loss_max_,
                                    loss_sum_, nll_, flag, code_mu, code_zeta);
  session_->run<kernel::MeanLoss>({1}, nll_, rows, inv_t, report_.loss(), flag,
                                  report_.code_for("the loss"));
}

}  // namespace gemmine::kernels::cuda
