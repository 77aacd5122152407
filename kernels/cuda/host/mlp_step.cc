// The parts of a step, in the order of PROTOCOL 3.3, as launches.
#include "kernels/cuda/host/mlp_engine.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr auto kRunRows = static_cast<uint32_t>(kColumnSumRun);

}  // namespace

uint32_t CudaEngine::code_for(std::string_view tensor, uint32_t layer) {
  return report_.code_for(std::string(tensor) + " of layer " + std::to_string(layer));
}

void CudaEngine::queue_forward(StepKey key) {
  const Spec& spec = program_.spec();
  uint32_t* const flag = report_.flag();
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    const Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    if (l == 0) {
      session_->run<kernel::GatherRows>(
          {spec.batch}, records_, spec.records, k, program_.label_bytes(), spec.data_seed,
          program_.step_id(key), spec.feature_scale, spec.feature_shift, layer.x.q, layer.x.ld,
          layer.sx, labels_, flag, code_for("the input", l));
    } else {
      session_->run<kernel::QuantiseRows>({spec.batch}, layers_[l - 1].y, k, 1U, layer.x.q,
                                          layer.x.ld, layer.sx, flag,
                                          code_for("the output", l - 1));
    }
    queue_transpose(*session_, layer.x, layer.x_transposed);
    session_->run<kernel::QuantiseRows>({n}, state_.theta(program_.weight_offset(l)), k, 0U,
                                        layer.w.q, layer.w.ld, layer.sw, flag,
                                        code_for("the weights", l));
    if (l > 0) queue_transpose(*session_, layer.w, layer.w_transposed);
    // The update comes before the tensor is hashed or read.
    session_->copy(layer.b, state_.theta(program_.bias_offset(l)), uint64_t{n} * sizeof(float));
    session_->run<kernel::GemmForward>(gemm_grid(spec.batch, n), layer.x.q, layer.w.q, spec.batch,
                                       n, layer.x.ld, layer.y, layer.sx, layer.sw, layer.b);
  }
}

void CudaEngine::queue_loss() {
  const uint32_t batch = program_.spec().batch;
  const uint32_t last = program_.layers() - 1;
  const float inv_t = 1.0F / static_cast<float>(batch);
  uint32_t* const flag = report_.flag();
  session_->run<kernel::LossRows>({pieces(batch, kLossRows)}, layers_[last].y, batch,
                                  program_.outputs(last), labels_, inv_t, layers_[last].dy, nll_,
                                  flag, code_for("the output", last));
  session_->run<kernel::MeanLoss>({1}, nll_, batch, inv_t, report_.loss(), flag,
                                  code_for("the loss", last));
}

// db, G2 and (above layer 0) G1 of a layer from its dY.
void CudaEngine::queue_gradient_operands(uint32_t l, StepKey key) {
  const Spec& spec = program_.spec();
  const Layer& layer = layers_[l];
  const uint32_t n = program_.outputs(l);
  const uint32_t runs = pieces(spec.batch, kRunRows);
  const uint32_t step_id = program_.step_id(key);
  const auto id_of = [l](TensorKind kind) { return l * 16 + static_cast<uint32_t>(kind); };
  uint32_t* const flag = report_.flag();
  session_->run<kernel::ColumnRuns>({pieces(n, kRowThreads), runs}, layer.dy, spec.batch, n,
                                    layer.sx, layer.db_parts, run_max_);
  session_->run<kernel::ColumnFinish>({pieces(n, kRowThreads)}, layer.db_parts, run_max_, runs, n,
                                      db_, layer.s2, inv2_, flag,
                                      code_for("the gradient by column", l));
  const uint64_t counters =
      uint64_t{spec.batch} * pieces(n, kStochasticGroup) * kStochasticLanes;  // PROTOCOL 2.5
  session_->run<kernel::StochasticColumns>({pieces(counters, kFlatThreads)}, layer.dy, spec.batch,
                                           n, layer.sx, inv2_, spec.sr_seed, id_of(TensorKind::g2),
                                           step_id, layer.g2.q, layer.g2.ld);
  queue_transpose(*session_, layer.g2, layer.g2_transposed);
  if (l == 0) return;
  session_->run<kernel::StochasticRows>({spec.batch}, layer.dy, n, layer.sw, spec.sr_seed,
                                        id_of(TensorKind::g1), step_id, layer.g1.q, layer.g1.ld,
                                        layer.s1, flag, code_for("the gradient by row", l));
}

void CudaEngine::queue_backward(StepKey key) {
  const uint32_t batch = program_.spec().batch;
  for (uint32_t l = program_.layers(); l-- > 0;) {
    const Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    queue_gradient_operands(l, key);
    session_->run<kernel::GemmWeightGradient>(gemm_grid(n, k), layer.g2_transposed.q,
                                              layer.x_transposed.q, n, k, layer.g2_transposed.ld,
                                              dw_, layer.s2);
    if (l > 0) {
      const Layer& below = layers_[l - 1];
      session_->run<kernel::GemmInputGradient>(gemm_grid(batch, k), layer.g1.q,
                                               layer.w_transposed.q, batch, k, layer.g1.ld,
                                               below.dy, layer.s1, below.y);
    }
    // The int8 weights were made in the forward pass, so the masters may change already.
    queue_update(program_.weight_offset(l), dw_, uint64_t{n} * k, true, key);
    queue_update(program_.bias_offset(l), db_, n, false, key);
  }
}

void CudaEngine::queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                              StepKey key) {
  state_.queue_update(offset, gradient, count, decays, key, report_.flag(),
                      code_for("the new state", 0));
}

}  // namespace gemmine::kernels::cuda
