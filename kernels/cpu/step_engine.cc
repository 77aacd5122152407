#include "kernels/cpu/step_engine.h"

#include <algorithm>

#include "kernels/base/protocol_floats.h"
#include "kernels/hash/blake3.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {
namespace {

// The committed string of a tensor that lies by rows.
ChunkSource source_of(const TensorInfo& tensor, const void* data) {
  const size_t cols = tensor.cols;
  if (tensor.is_int8())
    return ChunkSource::of_tiles(static_cast<const int8_t*>(data), tensor.rows, cols, cols);
  if (tensor.in_panels)
    return ChunkSource::of_panels(static_cast<const float*>(data), tensor.rows, cols, cols);
  return ChunkSource::of_bytes({static_cast<const uint8_t*>(data), tensor.bytes()});
}

}  // namespace

const void* CommittedLinear::data(TensorKind kind) const {
  switch (kind) {
    case TensorKind::x:
      return x.data();
    case TensorKind::sx:
      return sx.data();
    case TensorKind::w:
      return w.data();
    case TensorKind::sw:
      return sw.data();
    case TensorKind::b:
      return b.data();
    case TensorKind::g1:
      return g1.data();
    case TensorKind::s1:
      return s1.data();
    case TensorKind::g2:
      return g2.data();
    default:
      break;
  }
  GEMMINE_CHECK(kind == TensorKind::s2);
  return s2.data();
}

StepEngine::StepEngine(const Program& program, ByteView records, int threads)
    : program_(program), records_(records), pool_(threads), passes_(&passes()) {
  GEMMINE_CHECK(threads >= 1);
  state_.reserve(program.state_floats());
}

Status StepEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  const ProtocolFloats floats;
  loaded_ = false;
  if (state.size() != program_.state_floats())
    return Error{Errc::invalid_argument, "state: " + std::to_string(state.size()) +
                                             " floats, the program has " +
                                             std::to_string(program_.state_floats())};
  if (steps_done > program_.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "steps_done is more than a lease has"};
  state_.assign(state.begin(), state.end());
  if (Status status = check_state(); !status) return status.error();
  measure_weights();
  steps_done_ = steps_done;
  power1_ = 1;
  power2_ = 1;
  for (uint32_t i = 0; i < steps_done; ++i) {
    power1_ *= program_.spec().beta1;
    power2_ *= program_.spec().beta2;
  }
  loaded_ = true;
  return Ok{};
}

Status StepEngine::take_theta(std::span<const float> theta) {
  if (theta.size() != program_.parameters())
    return Error{Errc::invalid_argument, "theta: wrong number of floats"};
  loaded_ = false;
  commits_ = false;
  worst_ = 0;
  state_.assign(theta.begin(), theta.end());
  if (Status status = check_state(); !status) return status.error();
  measure_weights();
  return Ok{};
}

UpdateRates StepEngine::rates_of(StepKey key) {
  power1_ *= program_.spec().beta1;
  power2_ *= program_.spec().beta2;
  return update_rates(program_.spec(), program_.learning_rate(key), power1_, power2_);
}

Result<StepResult> StepEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  const Spec& spec = program_.spec();
  if (!loaded_) return Error{Errc::invalid_argument, "no state is loaded, or its step was invalid"};
  if (key.step != steps_done_ || key.step >= spec.steps_per_lease)
    return Error{Errc::invalid_argument,
                 "step " + std::to_string(key.step) + " is not the next one of the lease"};
  if (key.round >= spec.rounds || key.slot >= spec.slots)
    return Error{Errc::invalid_argument, "round or slot is not the job's"};
  loaded_ = false;
  worst_ = 0;
  passes_ = &passes();
  step_id_ = program_.step_id(key);
  rates_ = rates_of(key);
  commits_ = step_key != nullptr;
  if (commits_) {
    if (forest_.empty()) plant_forest();
    forest_.begin(Blake3Mode::keyed(*step_key));
  }
  ran_ = true;
  const Result<float> loss = step(key);
  if (!loss) return loss.error();
  StepResult result{.loss = loss.value(), .roots = {}};
  if (commits_) {
    const OpTimer timer(profile_, StepOp::roots);
    result.roots.resize(program_.tensors().size());
    forest_.roots(result.roots);
  }
  ++steps_done_;
  loaded_ = true;
  return result;
}

Status StepEngine::read_state(std::span<float> state) {
  if (!loaded_) return Error{Errc::invalid_argument, "no state is loaded, or its step was invalid"};
  if (state.size() != state_.size())
    return Error{Errc::invalid_argument, "state: wrong number of floats"};
  std::copy(state_.begin(), state_.end(), state.begin());
  return Ok{};
}

Masters StepEngine::masters(uint64_t offset) {
  const size_t parameters = program_.parameters();
  GEMMINE_CHECK(offset < parameters && state_.size() == program_.state_floats());
  float* const w = state_.data() + offset;
  const bool adamw = program_.spec().optimiser == Optimiser::adamw;
  return {w, w + parameters, adamw ? w + 2 * parameters : nullptr};
}

void StepEngine::plant_forest() {
  std::vector<ChunkSource> sources;
  std::vector<bool> in_parts;
  for (const TensorInfo& tensor : program_.tensors()) {
    const void* const data = tensor_data(tensor);
    GEMMINE_CHECK(data != nullptr);
    in_parts.push_back(hashed_in_parts(tensor));
    sources.push_back(source_of(tensor, data));
  }
  forest_ = Blake3Forest(std::move(sources), std::move(in_parts));
}

Result<Bytes> StepEngine::read_tensor(uint32_t position) {
  if (!ran_) return Error{Errc::invalid_argument, "no step has run yet"};
  if (position >= program_.tensors().size())
    return Error{Errc::invalid_argument, "no tensor has this position"};
  const TensorInfo& tensor = program_.tensors()[position];
  const ChunkSource source = source_of(tensor, tensor_data(tensor));
  Bytes out(source.total_bytes());
  source.copy({0, source.chunks()}, out);
  return out;
}

}  // namespace gemmine::kernels
