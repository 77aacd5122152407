// The parts of a step, in the order of PROTOCOL 3.3, as launches.
#include "kernels/cuda/engine_cuda.h"
#include "kernels/numerics.h"
#include "kernels/philox.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr auto kRunRows = static_cast<uint32_t>(kColumnSumRun);

constexpr uint32_t pieces(uint64_t count, uint32_t size) {
  return static_cast<uint32_t>((count + size - 1) / size);
}
Grid tiles(uint32_t m, uint32_t n) {
  return {pieces(n, kGemmTile), pieces(m, kGemmTile)};
}

}  // namespace

uint32_t CudaEngine::code_for(std::string_view tensor, uint32_t layer) {
  troubles_.emplace_back(tensor, layer);
  return kCodeFirst - static_cast<uint32_t>(troubles_.size() - 1);
}

void CudaEngine::queue_transpose(const Matrix& from, const Matrix& to) {
  session_->run<Kernel::transpose>(
      {pieces(from.cols, kTransposeTile), pieces(from.rows, kTransposeTile)}, from.q, from.rows,
      from.cols, from.ld, to.q, to.ld);
}

void CudaEngine::queue_forward(StepKey key) {
  const Spec& spec = program_.spec();
  uint32_t* const flag = report_;
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    const Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    if (l == 0) {
      session_->run<Kernel::gather_rows>({spec.batch}, records_, spec.records, k, spec.data_seed,
                                         program_.step_id(key), spec.feature_scale,
                                         spec.feature_shift, layer.x.q, layer.x.ld, layer.sx,
                                         labels_, flag, code_for("the input", l));
    } else {
      session_->run<Kernel::quantise_rows>({spec.batch}, layers_[l - 1].y, k, 1U, layer.x.q,
                                           layer.x.ld, layer.sx, flag,
                                           code_for("the output", l - 1));
    }
    queue_transpose(layer.x, layer.x_transposed);
    session_->run<Kernel::quantise_rows>({n}, state_ + program_.weight_offset(l), k, 0U, layer.w.q,
                                         layer.w.ld, layer.sw, flag, code_for("the weights", l));
    if (l > 0) queue_transpose(layer.w, layer.w_transposed);
    // The update comes before the tensor is hashed or read.
    session_->copy(layer.b, state_ + program_.bias_offset(l), uint64_t{n} * sizeof(float));
    session_->run<Kernel::gemm_forward>(tiles(spec.batch, n), layer.x.q, layer.w.q, spec.batch, n,
                                        layer.x.ld, layer.y, layer.sx, layer.sw, layer.b);
  }
}

void CudaEngine::queue_loss() {
  const uint32_t batch = program_.spec().batch;
  const uint32_t last = program_.layers() - 1;
  const float inv_t = 1.0F / static_cast<float>(batch);
  uint32_t* const flag = report_;
  session_->run<Kernel::loss_rows>({pieces(batch, kLossRows)}, layers_[last].y, batch,
                                   program_.outputs(last), labels_, inv_t, layers_[last].dy, nll_,
                                   flag, code_for("the output", last));
  session_->run<Kernel::mean_loss>({1}, nll_, batch, inv_t, reinterpret_cast<float*>(report_ + 1),
                                   flag, code_for("the loss", last));
}

// db, G2 and (above layer 0) G1 of a layer from its dY.
void CudaEngine::queue_gradient_operands(uint32_t l, StepKey key) {
  const Spec& spec = program_.spec();
  const Layer& layer = layers_[l];
  const uint32_t n = program_.outputs(l);
  const uint32_t runs = pieces(spec.batch, kRunRows);
  const uint32_t step_id = program_.step_id(key);
  const auto id_of = [l](TensorKind kind) { return l * 16 + static_cast<uint32_t>(kind); };
  uint32_t* const flag = report_;
  session_->run<Kernel::column_runs>({pieces(n, kRowThreads), runs}, layer.dy, spec.batch, n,
                                     layer.sx, run_sums_, run_max_);
  session_->run<Kernel::column_finish>({pieces(n, kRowThreads)}, run_sums_, run_max_, runs, n, db_,
                                       layer.s2, inv2_, flag,
                                       code_for("the gradient by column", l));
  const uint64_t counters =
      uint64_t{spec.batch} * pieces(n, kStochasticGroup) * kStochasticLanes;  // PROTOCOL 2.5
  session_->run<Kernel::stochastic_columns>({pieces(counters, kFlatThreads)}, layer.dy, spec.batch,
                                            n, layer.sx, inv2_, spec.sr_seed, id_of(TensorKind::g2),
                                            step_id, layer.g2.q, layer.g2.ld);
  queue_transpose(layer.g2, layer.g2_transposed);
  if (l == 0) return;
  session_->run<Kernel::stochastic_rows>({spec.batch}, layer.dy, n, layer.sw, spec.sr_seed,
                                         id_of(TensorKind::g1), step_id, layer.g1.q, layer.g1.ld,
                                         layer.s1, flag, code_for("the gradient by row", l));
}

void CudaEngine::queue_backward(StepKey key) {
  const uint32_t batch = program_.spec().batch;
  const float lr = program_.learning_rate(key);
  for (uint32_t l = program_.layers(); l-- > 0;) {
    const Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    queue_gradient_operands(l, key);
    session_->run<Kernel::gemm_weight_gradient>(tiles(n, k), layer.g2_transposed.q,
                                                layer.x_transposed.q, n, k, layer.g2_transposed.ld,
                                                dw_, layer.s2);
    if (l > 0) {
      const Layer& below = layers_[l - 1];
      session_->run<Kernel::gemm_input_gradient>(tiles(batch, k), layer.g1.q, layer.w_transposed.q,
                                                 batch, k, layer.g1.ld, below.dy, layer.s1,
                                                 below.y);
    }
    // The int8 weights were made in the forward pass, so the masters may change already.
    queue_update(program_.weight_offset(l), dw_, uint64_t{n} * k, true, lr);
    queue_update(program_.bias_offset(l), db_, n, false, lr);
  }
}

void CudaEngine::queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                              float lr) {
  const Spec& spec = program_.spec();
  float* const w = state_ + offset;
  float* const m = w + program_.parameters();
  const Grid grid{pieces(count, kFlatThreads)};
  const uint32_t code = code_for("the new state", 0);
  if (spec.optimiser == Optimiser::sgd) {
    session_->run<Kernel::update_sgd>(grid, w, m, gradient, count, decays ? 1U : 0U, lr, spec.beta1,
                                      spec.wd, report_, code);
    return;
  }
  session_->run<Kernel::update_adamw>(grid, w, m, m + program_.parameters(), gradient, count,
                                      decays ? 1U : 0U, lr, spec.beta1, spec.beta2, spec.eps,
                                      spec.wd, 1.0F / (1.0F - power1_), 1.0F / (1.0F - power2_),
                                      report_, code);
}

void CudaEngine::queue_hashing(const Digest& step_key) {
  const auto tensors = static_cast<uint32_t>(program_.tensors().size());
  uint32_t* const roots = report_ + kReportHead;
  session_->upload(step_key_, step_key.bytes.data(), sizeof(Digest));
  session_->run<Kernel::hash_groups>({groups_max_, tensors}, jobs_, step_key_, group_cvs_, roots);
  if (groups_max_ > 1)
    session_->run<Kernel::hash_roots>({tensors}, jobs_, step_key_, group_cvs_, hash_scratch_,
                                      roots);
}

}  // namespace gemmine::kernels::cuda
