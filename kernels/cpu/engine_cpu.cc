#include "kernels/cpu/engine_cpu.h"

#include <algorithm>

#include "kernels/blake3.h"
#include "kernels/numerics.h"
#include "kernels/protocol_floats.h"

namespace gemmine::kernels {

Error not_finite(std::string_view tensor, uint32_t layer) {
  return {Errc::invalid,
          "NaN or infinity in " + std::string(tensor) + " of layer " + std::to_string(layer)};
}

// All memory is asked for here, where running out of it is still an answer.
void CpuEngine::reserve_packed(Layer& layer, size_t batch, bool passes_down) {
  layer.x_rows.resize(batch, layer.inputs);
  layer.x_columns.resize(layer.inputs, batch);
  layer.w_rows.resize(layer.outputs, layer.inputs);
  layer.g2_columns.resize(layer.outputs, batch);
  if (!passes_down) return;
  layer.g1_rows.resize(batch, layer.outputs);
  layer.w_columns.resize(layer.inputs, layer.outputs);
}

CpuEngine::CpuEngine(const Program& program, ByteView train_records, int threads)
    : program_(program),
      records_(train_records),
      pool_(threads),
      passes_(&passes()),
      layers_(program.layers()),
      input_(size_t{program.spec().batch} * program.inputs(0)),
      nll_(program.spec().batch),
      rows_(program.spec().batch) {
  const size_t batch = program.spec().batch;
  state_.reserve(program.state_floats());
  for (uint32_t l = 0; l < program.layers(); ++l) {
    Layer& layer = layers_[l];
    layer.inputs = program.inputs(l);
    layer.outputs = program.outputs(l);
    layer.x.resize(batch * layer.inputs);
    layer.w.resize(size_t{layer.outputs} * layer.inputs);
    layer.g2.resize(batch * layer.outputs);
    if (l > 0) layer.g1.resize(batch * layer.outputs);
    layer.y.resize(batch * layer.outputs);
    layer.dy.resize(batch * layer.outputs);
    for (AlignedVector<float>* per_row : {&layer.sx, &layer.s1})
      per_row->resize(batch);
    for (AlignedVector<float>* per_output :
         {&layer.sw, &layer.b, &layer.s2, &layer.inv2, &layer.db})
      per_output->resize(layer.outputs);
    layer.x_max.resize(batch);
    layer.w_max.resize(layer.outputs);
    layer.g2_max.resize(layer.outputs);
    reserve_packed(layer, batch, l > 0);
  }
}

Status CpuEngine::load_state(std::span<const float> state, uint32_t steps_done) {
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

// Errors: invalid, naming the part of the state.
Status CpuEngine::check_state() {
  const size_t parameters = program_.parameters();
  for (size_t begin = 0; begin < state_.size(); begin += parameters) {
    for (uint32_t l = 0; l < program_.layers(); ++l) {
      const float* const w = state_.data() + begin + program_.weight_offset(l);
      const size_t count = program_.bias_offset(l) - program_.weight_offset(l) + layers_[l].outputs;
      if (passes_->absmax(w, count) >= kNotFinite)
        return not_finite(begin == 0 ? "the weights or biases" : "the moments", l);
    }
  }
  return Ok{};
}

void CpuEngine::measure_weights() {
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    Layer& layer = layers_[l];
    const float* const w = state_.data() + program_.weight_offset(l);
    for_each_row(layer.outputs, [&](size_t n) {
      layer.w_max[n] = passes_->absmax(w + n * layer.inputs, layer.inputs);
    });
  }
}

UpdateRates CpuEngine::rates_of(StepKey key) {
  power1_ *= program_.spec().beta1;
  power2_ *= program_.spec().beta2;
  return update_rates(program_.spec(), program_.learning_rate(key), power1_, power2_);
}

Result<StepResult> CpuEngine::run_step(StepKey key, const Digest* step_key) {
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
  step_ = {
      .key = key, .step_id = program_.step_id(key), .rows = spec.batch, .rates = rates_of(key)};
  StepResult result;
  commits_ = step_key != nullptr;
  if (commits_) {
    if (forest_.empty()) plant_forest();
    forest_.begin(Blake3Mode::keyed(*step_key));
  }
  gather(key);
  if (Status status = forward(); !status) return status.error();
  if (Status status = loss(&result.loss); !status) return status.error();
  if (Status status = backward(); !status) return status.error();
  if (commits_) {
    const OpTimer timer(profile_, StepOp::roots);
    result.roots.resize(program_.tensors().size());
    forest_.roots(result.roots);
  }
  ++steps_done_;
  loaded_ = true;
  return result;
}

Status CpuEngine::read_state(std::span<float> state) {
  if (!loaded_) return Error{Errc::invalid_argument, "no state is loaded, or its step was invalid"};
  if (state.size() != state_.size())
    return Error{Errc::invalid_argument, "state: wrong number of floats"};
  std::copy(state_.begin(), state_.end(), state.begin());
  return Ok{};
}

Masters CpuEngine::masters(uint64_t offset) {
  const size_t parameters = program_.parameters();
  float* const w = state_.data() + offset;
  const bool adamw = program_.spec().optimiser == Optimiser::adamw;
  return {w, w + parameters, adamw ? w + 2 * parameters : nullptr};
}

const void* CpuEngine::tensor_data(const TensorInfo& tensor) const {
  const Layer& layer = layers_[tensor.layer];
  switch (tensor.kind) {
    case TensorKind::x:
      return layer.x.data();
    case TensorKind::sx:
      return layer.sx.data();
    case TensorKind::w:
      return layer.w.data();
    case TensorKind::sw:
      return layer.sw.data();
    case TensorKind::b:
      return layer.b.data();
    case TensorKind::g1:
      return layer.g1.data();
    case TensorKind::s1:
      return layer.s1.data();
    case TensorKind::g2:
      return layer.g2.data();
    case TensorKind::s2:
      return layer.s2.data();
    default:
      break;
  }
  GEMMINE_CHECK(!"the tensor is of an MLP");
  return nullptr;
}

void CpuEngine::plant_forest() {
  std::vector<ChunkSource> sources;
  for (const TensorInfo& tensor : program_.tensors()) {
    const void* const data = tensor_data(tensor);
    sources.push_back(
        tensor.is_int8()
            ? ChunkSource::of_tiles(static_cast<const int8_t*>(data), tensor.rows, tensor.cols,
                                    tensor.cols)
            : ChunkSource::of_bytes({static_cast<const uint8_t*>(data), tensor.bytes()}));
  }
  forest_ = Blake3Forest(std::move(sources));
}

// Whole tiles; enough of them to fill the lanes of a hash, but also a task or two for every thread.
size_t CpuEngine::strip_rows(size_t rows, std::initializer_list<TensorPlace> tensors) const {
  constexpr size_t kTiles = 128;
  const TensorPlace& first = *tensors.begin();
  const TensorInfo& tensor = program_.tensors()[program_.position(first.kind, first.layer)];
  const auto threads = static_cast<size_t>(pool_.threads());
  const size_t tasks = threads == 1 ? 1 : 2 * threads;
  const size_t share = (tensor.tile_rows() + tasks - 1) / tasks;
  const size_t full = (kTiles + tensor.tile_cols() - 1) / tensor.tile_cols();
  return std::min({share, full, (rows + kTileRows - 1) / kTileRows}) * kTileRows;
}

Result<Bytes> CpuEngine::read_tensor(uint32_t position) {
  if (position >= program_.tensors().size())
    return Error{Errc::invalid_argument, "no tensor has this position"};
  const TensorInfo& tensor = program_.tensors()[position];
  const void* const data = tensor_data(tensor);
  if (tensor.is_int8())
    return to_tile_order(static_cast<const int8_t*>(data), tensor.rows, tensor.cols, tensor.cols);
  const auto* const bytes = static_cast<const uint8_t*>(data);
  return Bytes(bytes, bytes + tensor.bytes());
}

}  // namespace gemmine::kernels
