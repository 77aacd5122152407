// Memory and the order of a step; mlp_step.cc queues its parts.
#include "kernels/cuda/host/mlp_engine.h"

#include <algorithm>

#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {

void CudaEngine::allocate() {
  const uint32_t batch = program_.spec().batch;
  const uint64_t runs = pieces(batch, static_cast<uint32_t>(kColumnSumRun));
  uint64_t weights_max = 0;
  uint32_t outputs_max = 0;
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    Layer& layer = layers_[l];
    const uint32_t k = program_.inputs(l);
    const uint32_t n = program_.outputs(l);
    weights_max = std::max(weights_max, uint64_t{k} * n);
    outputs_max = std::max(outputs_max, n);
    layer.x = allocate_matrix(*session_, batch, k);
    layer.x_transposed = allocate_matrix(*session_, k, batch);
    layer.w = allocate_matrix(*session_, n, k);
    layer.g2 = allocate_matrix(*session_, batch, n);
    layer.g2_transposed = allocate_matrix(*session_, n, batch);
    if (l > 0) {
      layer.w_transposed = allocate_matrix(*session_, k, n);
      layer.g1 = allocate_matrix(*session_, batch, n);
    }
    for (float** per_row : {&layer.sx, &layer.s1})
      *per_row = session_->allocate<float>(batch);
    for (float** per_output : {&layer.sw, &layer.b, &layer.s2})
      *per_output = session_->allocate<float>(n);
    layer.db_parts = session_->allocate<float>(runs * n);
    for (float** per_element : {&layer.y, &layer.dy})
      *per_element = session_->allocate<float>(uint64_t{batch} * n);
  }
  labels_ = session_->allocate<uint32_t>(batch);
  nll_ = session_->allocate<float>(batch);
  dw_ = session_->allocate<float>(weights_max);
  db_ = session_->allocate<float>(outputs_max);
  inv2_ = session_->allocate<float>(outputs_max);
  run_max_ = session_->allocate<uint32_t>(runs * outputs_max);
}

void CudaEngine::queue_step(StepKey key) {
  queue_forward(key);
  queue_loss();
  queue_backward(key);
}

}  // namespace gemmine::kernels::cuda
