// Memory, state and the order of a step; engine_cuda_step.cc queues its parts.
#include "kernels/cuda/engine_cuda.h"

#include <algorithm>

#include "kernels/numerics.h"
#include "kernels/protocol_floats.h"

namespace gemmine::kernels::cuda {

Result<std::unique_ptr<Engine>> CudaEngine::make(const DeviceApi& api, uint32_t device,
                                                 std::string name, const Program& program,
                                                 ByteView train_records) {
  auto session = DeviceSession::open(api, device, std::move(name));
  if (!session) return session.error();
  if (Status status = probe_layout(*session.value()); !status) return status.error();
  std::unique_ptr<CudaEngine> engine(new CudaEngine(std::move(session.value()), program));
  engine->allocate();
  engine->records_ = engine->session_->allocate<uint8_t>(train_records.size());
  engine->session_->upload(engine->records_, train_records.data(), train_records.size());
  std::vector<TensorMemory> memory;
  for (const TensorInfo& tensor : program.tensors())
    memory.push_back(engine->tensor_memory(tensor));
  engine->report_.prepare(program.tensors(), memory);
  if (Status status = engine->session_->status(); !status) return status.error();
  return std::unique_ptr<Engine>(std::move(engine));
}

void CudaEngine::allocate() {
  const uint32_t batch = program_.spec().batch;
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
    for (float** per_element : {&layer.y, &layer.dy})
      *per_element = session_->allocate<float>(uint64_t{batch} * n);
  }
  const uint64_t runs = pieces(batch, static_cast<uint32_t>(kColumnSumRun));
  state_.allocate();
  labels_ = session_->allocate<uint32_t>(batch);
  nll_ = session_->allocate<float>(batch);
  dw_ = session_->allocate<float>(weights_max);
  db_ = session_->allocate<float>(outputs_max);
  inv2_ = session_->allocate<float>(outputs_max);
  run_sums_ = session_->allocate<float>(runs * outputs_max);
  run_max_ = session_->allocate<uint32_t>(runs * outputs_max);
}

TensorMemory CudaEngine::tensor_memory(const TensorInfo& tensor) const {
  const Layer& layer = layers_[tensor.layer];
  switch (tensor.kind) {
    case TensorKind::x:
      return layer.x.q;
    case TensorKind::sx:
      return layer.sx;
    case TensorKind::w:
      return layer.w.q;
    case TensorKind::sw:
      return layer.sw;
    case TensorKind::b:
      return layer.b;
    case TensorKind::g1:
      return layer.g1.q;
    case TensorKind::s1:
      return layer.s1;
    case TensorKind::g2:
      return layer.g2.q;
    default:
      break;
  }
  GEMMINE_CHECK(tensor.kind == TensorKind::s2);
  return layer.s2;
}

Status CudaEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  const ProtocolFloats floats;
  return state_.load(state, steps_done);
}

Result<StepResult> CudaEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  if (Status status = state_.begin_step(key); !status) return status.error();
  has_step_ = false;
  report_.begin();
  queue_forward(key);
  queue_loss();
  queue_backward(key);
  if (step_key != nullptr) report_.queue_roots(*step_key);
  auto result = report_.finish();
  if (!result) return result;
  state_.finish_step();
  has_step_ = true;
  return result;
}

Status CudaEngine::read_state(std::span<float> state) {
  return state_.read(state);
}

Result<Bytes> CudaEngine::read_tensor(uint32_t position) {
  if (!has_step_) return Error{Errc::invalid_argument, "no such tensor, or no step yet"};
  return report_.read_tensor(position);
}

}  // namespace gemmine::kernels::cuda
