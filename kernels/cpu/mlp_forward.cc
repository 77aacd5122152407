// Forward, loss and evaluation of the CPU engine (PROTOCOL 3.3, 3.6).
#include <algorithm>
#include <cstring>

#include "kernels/base/protocol_floats.h"
#include "kernels/cpu/mlp_engine.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

void CpuEngine::gather(StepKey key) {
  const OpTimer timer(profile_, StepOp::input);
  for (uint32_t i = 0; i < batch_rows_; ++i)
    rows_[i] = records_.data() + size_t{program_.record_index(key, i)} * program_.record_bytes();
}

void CpuEngine::embed() {
  const OpTimer timer(profile_, StepOp::input);
  Layer& first = layers_[0];
  const Spec& spec = program_.spec();
  for_each_row(batch_rows_, [&](size_t t) {
    first.x_max[t] = passes_->features(record(t), first.inputs, spec.feature_scale,
                                       spec.feature_shift, input_.data() + t * first.inputs);
  });
}

Status CpuEngine::quantise_input(uint32_t l) {
  const OpTimer timer(profile_, StepOp::quantise_inputs);
  Layer& layer = layers_[l];
  const float* const real = l == 0 ? input_.data() : layers_[l - 1].y.data();
  for (size_t t = 0; t < batch_rows_; ++t) {
    if (layer.x_max[t] >= kNotFinite) return not_finite("the input", l);
  }
  for_each_committed_row(batch_rows_, {{TensorKind::x, l}}, [&](size_t t) {
    const Scale scale = scale_of(layer.x_max[t]);
    layer.sx[t] = scale.s;
    passes_->quantise_nearest(real + t * layer.inputs, layer.inputs, scale.inv,
                              layer.x.data() + t * layer.inputs);
  });
  return Ok{};
}

Status CpuEngine::quantise_weights(uint32_t l) {
  const OpTimer timer(profile_, StepOp::quantise_weights);
  Layer& layer = layers_[l];
  const float* const w = state_.data() + program_.weight_offset(l);
  for_each_committed_row(layer.outputs, {{TensorKind::w, l}}, [&](size_t n) {
    const Scale scale = scale_of(layer.w_max[n]);
    layer.sw[n] = scale.s;
    passes_->quantise_nearest(w + n * layer.inputs, layer.inputs, scale.inv,
                              layer.w.data() + n * layer.inputs);
  });
  const float* const b = state_.data() + program_.bias_offset(l);
  std::copy(b, b + layer.outputs, layer.b.begin());
  return Ok{};
}

void CpuEngine::pack_forward(Layer& layer) {
  const OpTimer timer(profile_, StepOp::pack_forward);
  pack(by_rows(layer.x.data(), layer.inputs), batch_rows_, layer.inputs, Side::left, layer.x_rows,
       pool_);
  pack(by_rows(layer.w.data(), layer.inputs), layer.outputs, layer.inputs, Side::right,
       layer.w_rows, pool_);
}

Status CpuEngine::forward() {
  embed();
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    Layer& layer = layers_[l];
    if (Status status = quantise_input(l); !status) return status.error();
    if (Status status = quantise_weights(l); !status) return status.error();
    pack_forward(layer);
    const bool hidden = l + 1 < program_.layers();
    if (hidden) std::fill(layers_[l + 1].x_max.begin(), layers_[l + 1].x_max.end(), 0);
    const auto epilogue = [&](size_t row0, size_t rows, size_t col0, size_t cols,
                              const int32_t* tile, size_t ld) {
      uint32_t worst = 0;
      for (size_t r = 0; r < rows; ++r) {
        const size_t t = row0 + r;
        const RowMaxima max = passes_->forward(tile + r * ld, cols, layer.sx[t],
                                               layer.sw.data() + col0, layer.b.data() + col0,
                                               hidden, layer.y.data() + t * layer.outputs + col0);
        if (hidden) raise(layers_[l + 1].x_max[t], max.result);
        worst = std::max(worst, max.all);
      }
      raise(worst_, worst);
    };
    {
      const OpTimer timer(profile_, StepOp::forward);
      matmul(layer.x_rows, layer.w_rows, epilogue_of(epilogue), pool_);
    }
    if (worst_ >= kNotFinite) return not_finite("the output", l);
  }
  return Ok{};
}

Result<float> CpuEngine::loss() {
  const OpTimer timer(profile_, StepOp::loss);
  Layer& last = layers_.back();
  const float inv_t = 1.0F / static_cast<float>(batch_rows_);
  for_each_row(batch_rows_, [&](size_t t) {
    const size_t at = t * last.outputs;
    passes_->loss(last.y.data() + at, last.outputs, label(t), inv_t, last.dy.data() + at, &nll_[t]);
  });
  const float mean = longsum(nll_.data(), batch_rows_) * inv_t;
  if (magnitude(mean) >= kNotFinite) return not_finite("the loss", program_.layers() - 1);
  return mean;
}

Status CpuEngine::forward_all(std::span<const float> theta, ByteView records,
                              const std::function<Status()>& done) {
  if (Status status = take_theta(theta); !status) return status;
  const size_t record_bytes = program_.record_bytes();
  const uint64_t count = records.size() / record_bytes;
  for (uint64_t first = 0; first < count; first += batch_rows_) {
    batch_rows_ = std::min<uint64_t>(program_.spec().batch, count - first);
    for (size_t i = 0; i < batch_rows_; ++i)
      rows_[i] = records.data() + (first + i) * record_bytes;
    if (Status status = forward(); !status) return status;
    if (Status status = done(); !status) return status;
  }
  return Ok{};
}

Result<Evaluation> CpuEngine::evaluate(std::span<const float> theta, ByteView test_records) {
  const ProtocolFloats floats;
  Evaluation out;
  out.records = test_records.size() / program_.record_bytes();
  const Status ran = forward_all(theta, test_records, [&]() -> Status {
    if (auto mean = loss(); !mean) return mean.error();
    const Layer& last = layers_.back();
    for (size_t t = 0; t < batch_rows_; ++t) {
      const float* const y = last.y.data() + t * last.outputs;
      const auto best = std::max_element(y, y + last.outputs) - y;
      out.correct += best == label(t) ? 1 : 0;
      out.loss += nll_[t];
    }
    return Ok{};
  });
  if (!ran) return ran.error();
  if (out.records > 0) out.loss /= static_cast<double>(out.records);
  return out;
}

Result<std::vector<float>> CpuEngine::predict(std::span<const float> theta, ByteView records) {
  const ProtocolFloats floats;
  std::vector<float> out;
  out.reserve(records.size() / program_.record_bytes() * layers_.back().outputs);
  const Status ran = forward_all(theta, records, [&]() -> Status {
    const auto& y = layers_.back().y;
    out.insert(out.end(), y.begin(),
               y.begin() + static_cast<ptrdiff_t>(batch_rows_ * layers_.back().outputs));
    return Ok{};
  });
  if (!ran) return ran.error();
  return out;
}

}  // namespace gemmine::kernels
