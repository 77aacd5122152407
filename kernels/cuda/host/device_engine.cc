#include "kernels/cuda/host/device_engine.h"

#include <vector>

#include "kernels/base/protocol_floats.h"

namespace gemmine::kernels::cuda {

TensorMemory DeviceLinear::memory(TensorKind kind) const {
  switch (kind) {
    case TensorKind::x:
      return x.q;
    case TensorKind::sx:
      return sx;
    case TensorKind::w:
      return w.q;
    case TensorKind::sw:
      return sw;
    case TensorKind::b:
      return b;
    case TensorKind::g1:
      return g1.q;
    case TensorKind::s1:
      return s1;
    case TensorKind::g2:
      return g2.q;
    case TensorKind::bias_parts:
      return db_parts;
    default:
      break;
  }
  GEMMINE_CHECK(kind == TensorKind::s2);
  return s2;
}

Result<std::unique_ptr<DeviceSession>> DeviceEngine::open(const DeviceApi& api, uint32_t device,
                                                          std::string name) {
  auto session = DeviceSession::open(api, device, std::move(name));
  if (!session) return session.error();
  if (Status status = probe_layout(*session.value()); !status) return status.error();
  return session;
}

Status DeviceEngine::prepare(ByteView records) {
  state_.allocate();
  allocate();
  records_ = session_->allocate<uint8_t>(records.size());
  session_->upload(records_, records.data(), records.size());
  std::vector<TensorMemory> memory;
  for (const TensorInfo& tensor : program_.tensors())
    memory.push_back(tensor_memory(tensor));
  report_.prepare(program_.tensors(), memory);
  return session_->status();
}

Status DeviceEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  const ProtocolFloats floats;
  return state_.load(state, steps_done);
}

Result<StepResult> DeviceEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  if (Status status = state_.begin_step(key); !status) return status.error();
  has_step_ = false;
  report_.begin();
  queue_step(key);
  if (step_key != nullptr) report_.queue_roots(*step_key);
  auto result = report_.finish();
  if (!result) return result;
  state_.finish_step();
  has_step_ = true;
  return result;
}

Status DeviceEngine::read_state(std::span<float> state) {
  return state_.read(state);
}

Result<Bytes> DeviceEngine::read_tensor(uint32_t position) {
  if (!has_step_) return Error{Errc::invalid_argument, "no such tensor, or no step yet"};
  return report_.read_tensor(position);
}

}  // namespace gemmine::kernels::cuda
