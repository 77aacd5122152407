#include "kernels/cpu/mlp_engine.h"

#include <algorithm>

#include "kernels/hash/chunk_source.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

Error not_finite(std::string_view tensor, uint32_t layer) {
  return {Errc::invalid,
          "NaN or infinity in " + std::string(tensor) + " of layer " + std::to_string(layer)};
}

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
    : StepEngine(program, train_records, threads),
      layers_(program.layers()),
      input_(size_t{program.spec().batch} * program.inputs(0)),
      nll_(program.spec().batch),
      rows_(program.spec().batch) {
  const size_t batch = program.spec().batch;
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
    layer.db_parts.resize((batch + kColumnSumRun - 1) / kColumnSumRun * layer.outputs);
    layer.x_max.resize(batch);
    layer.w_max.resize(layer.outputs);
    layer.g2_max.resize(layer.outputs);
    reserve_packed(layer, batch, l > 0);
  }
}

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

Result<float> CpuEngine::step(StepKey key) {
  batch_rows_ = program_.spec().batch;
  gather(key);
  if (Status status = forward(); !status) return status.error();
  const Result<float> mean = loss();
  if (!mean) return mean;
  if (Status status = backward(); !status) return status.error();
  return mean;
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

}  // namespace gemmine::kernels
