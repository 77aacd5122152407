#include "kernels/reference/mlp.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/protocol_floats.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/chunk_source.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"
#include "kernels/numbers/rederive.h"

namespace gemmine::kernels {
namespace {

using Floats = std::vector<float>;

Status all_finite(const Floats& values, std::string_view tensor, size_t layer) {
  for (const float value : values) {
    if (!std::isfinite(value))
      return Error{Errc::invalid, "NaN or infinity in " + std::string(tensor) + " of layer " +
                                      std::to_string(layer)};
  }
  return Ok{};
}

// PROTOCOL 2.3 over the elements first, first + step, … (count of them).
Scale scale_of_group(const Floats& values, size_t first, size_t step, size_t count) {
  uint32_t a = 0;
  for (size_t i = 0; i < count; ++i)
    a = std::max(a, bits_of(values[first + i * step]) & 0x7fffffffU);
  return scale_of(a);
}

}  // namespace

Status ReferenceEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  loaded_ = false;
  if (state.size() != program_.state_floats() || steps_done > program_.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "state: wrong number of floats or steps"};
  state_.assign(state.begin(), state.end());
  if (Status status = all_finite(state_, "the state", 0); !status) return status.error();
  steps_done_ = steps_done;
  loaded_ = true;
  return Ok{};
}

Result<StepResult> ReferenceEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  if (!loaded_ || key.step != steps_done_ || key.step >= program_.spec().steps_per_lease ||
      key.round >= program_.spec().rounds || key.slot >= program_.spec().slots)
    return Error{Errc::invalid_argument, "no state, or not the next step"};
  loaded_ = false;
  layers_.assign(program_.layers(), Layer{});
  if (Status status = forward(key); !status) return status.error();
  const Result<float> mean = loss(key);
  if (!mean) return mean.error();
  if (Status status = backward(key); !status) return status.error();
  if (Status status = optimise(key); !status) return status.error();
  StepResult out{.loss = mean.value(), .roots = {}};
  for (const TensorInfo& tensor : program_.tensors()) {
    if (step_key != nullptr) out.roots.push_back(blake3_keyed(*step_key, tensor_bytes(tensor)));
  }
  ++steps_done_;
  loaded_ = true;
  return out;
}

uint8_t ReferenceEngine::record_byte(StepKey key, size_t row, size_t byte) const {
  const size_t record = program_.record_index(key, static_cast<uint32_t>(row));
  return records_[record * program_.record_bytes() + byte];
}

uint32_t ReferenceEngine::label(StepKey key, size_t row) const {
  const uint32_t at = program_.inputs(0);
  const uint32_t low = record_byte(key, row, at);
  return program_.label_bytes() == 1 ? low : low | uint32_t{record_byte(key, row, at + 1)} << 8;
}

Status ReferenceEngine::forward(StepKey key) {
  const size_t rows = program_.spec().batch;
  Floats real(rows * program_.inputs(0));
  for (size_t i = 0; i < real.size(); ++i)
    real[i] = feature_value(record_byte(key, i / program_.inputs(0), i % program_.inputs(0)),
                            program_.spec().feature_scale, program_.spec().feature_shift);
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    Layer& layer = layers_[l];
    const size_t k = layer.k = program_.inputs(l);
    const size_t n = layer.n = program_.outputs(l);
    if (Status status = all_finite(real, "the input", l); !status) return status.error();
    layer.x = {std::vector<int8_t>(rows * k), Floats(rows)};
    for (size_t t = 0; t < rows; ++t) {
      const Scale scale = scale_of_group(real, t * k, 1, k);
      layer.x.s[t] = scale.s;
      for (size_t c = 0; c < k; ++c)
        layer.x.q[t * k + c] = round_nearest(real[t * k + c], scale.inv);
    }
    const float* const w = state_.data() + program_.weight_offset(l);
    const Floats weights(w, w + n * k);
    layer.b.assign(w + n * k, w + n * k + n);
    layer.w = {std::vector<int8_t>(n * k), Floats(n)};
    for (size_t r = 0; r < n; ++r) {
      const Scale scale = scale_of_group(weights, r * k, 1, k);
      layer.w.s[r] = scale.s;
      for (size_t c = 0; c < k; ++c)
        layer.w.q[r * k + c] = round_nearest(weights[r * k + c], scale.inv);
    }
    layer.y.resize(rows * n);
    for (size_t i = 0; i < rows * n; ++i)
      layer.y[i] = forward_value(&layer.x.q[i / n * k], &layer.w.q[i % n * k], k, layer.x.s[i / n],
                                 layer.w.s[i % n], layer.b[i % n]);
    if (Status status = all_finite(layer.y, "the output", l); !status) return status.error();
    real.resize(rows * n);
    std::transform(layer.y.begin(), layer.y.end(), real.begin(), relu);
  }
  return Ok{};
}

Result<float> ReferenceEngine::loss(StepKey key) {
  const size_t rows = program_.spec().batch;
  Layer& last = layers_.back();
  last.dy.resize(rows * last.n);
  Floats nll(rows);
  const float inv_t = 1.0F / static_cast<float>(rows);
  for (size_t t = 0; t < rows; ++t)
    loss_row(&last.y[t * last.n], last.n, label(key, t), inv_t, &last.dy[t * last.n], &nll[t]);
  const float mean = longsum(nll.data(), rows) * inv_t;
  if (!std::isfinite(mean)) return Error{Errc::invalid, "NaN or infinity in the loss"};
  return mean;
}

Status ReferenceEngine::backward(StepKey key) {
  const size_t rows = program_.spec().batch;
  for (uint32_t l = program_.layers(); l-- > 0;) {
    Layer& layer = layers_[l];
    const size_t n = layer.n;
    const size_t k = layer.k;
    layer.db_parts = run_sums(layer.dy, n);
    layer.db = sum_of_runs(layer.db_parts, n);

    Floats v1(rows * n);
    Floats v2(rows * n);
    for (size_t i = 0; i < rows * n; ++i) {
      v1[i] = layer.dy[i] * layer.w.s[i % n];
      v2[i] = layer.dy[i] * layer.x.s[i / n];
    }
    if (Status status = all_finite(v2, "the gradient by column", l); !status) return status.error();
    const uint64_t seed = program_.spec().sr_seed;
    const uint32_t step_id = program_.step_id(key);
    const auto cols = static_cast<uint32_t>(n);
    layer.g2 = {std::vector<int8_t>(rows * n), Floats(n)};
    for (uint32_t c = 0; c < n; ++c) {
      const Scale scale = scale_of_group(v2, c, n, rows);
      layer.g2.s[c] = scale.s;
      for (uint32_t t = 0; t < rows; ++t)
        layer.g2.q[t * n + c] = round_stochastic(
            v2[t * n + c], scale.inv, stochastic_u16({seed, 16 * l + 7, step_id}, t, c, cols));
    }
    layer.dw.resize(n * k);
    for (size_t i = 0; i < n * k; ++i)
      layer.dw[i] = static_cast<float>(dot(&layer.g2.q[i / k], n, &layer.x.q[i % k], k, rows)) *
                    layer.g2.s[i / k];
    if (l == 0) break;

    if (Status status = all_finite(v1, "the gradient by row", l); !status) return status.error();
    layer.g1 = {std::vector<int8_t>(rows * n), Floats(rows)};
    for (uint32_t t = 0; t < rows; ++t) {
      const Scale scale = scale_of_group(v1, t * n, 1, n);
      layer.g1.s[t] = scale.s;
      for (uint32_t c = 0; c < n; ++c)
        layer.g1.q[t * n + c] = round_stochastic(
            v1[t * n + c], scale.inv, stochastic_u16({seed, 16 * l + 5, step_id}, t, c, cols));
    }
    Layer& below = layers_[l - 1];
    below.dy.resize(rows * k);
    for (size_t i = 0; i < rows * k; ++i)
      below.dy[i] = backward_value(&layer.g1.q[i / k * n], &layer.w.q[i % k], k, n,
                                   layer.g1.s[i / k], below.y[i]);
  }
  return Ok{};
}

Status ReferenceEngine::optimise(StepKey key) {
  const float lr = program_.learning_rate(key);
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    if (Status status = update(program_.weight_offset(l), layers_[l].dw, true, lr); !status)
      return status.error();
    if (Status status = update(program_.bias_offset(l), layers_[l].db, false, lr); !status)
      return status.error();
  }
  for (uint32_t l = 0; l < program_.layers(); ++l) {
    if (Status status = all_finite(layers_[l].db_parts, "the sums of the gradient", l); !status)
      return status;
  }
  return all_finite(state_, "the new state", 0);
}

Status ReferenceEngine::update(uint64_t offset, const Floats& gradient, bool decays, float lr) {
  const Spec& spec = program_.spec();
  float p1 = 1;
  float p2 = 1;
  for (uint32_t i = 0; i <= steps_done_; ++i) {
    p1 = p1 * spec.beta1;
    p2 = p2 * spec.beta2;
  }
  for (size_t i = 0; i < gradient.size(); ++i) {
    const float g = gradient[i];
    float& w = state_[offset + i];
    float& m = state_[offset + i + program_.parameters()];
    if (spec.optimiser == Optimiser::sgd) {
      m = spec.beta1 * m + (decays ? g + spec.wd * w : g);
      w = w - lr * m;
      continue;
    }
    float& v = state_[offset + i + 2 * program_.parameters()];
    m = spec.beta1 * m + (1.0F - spec.beta1) * g;
    v = spec.beta2 * v + (1.0F - spec.beta2) * (g * g);
    const float u = (m * (1.0F / (1.0F - p1))) / (square_root(v * (1.0F / (1.0F - p2))) + spec.eps);
    w = decays ? w - lr * (u + spec.wd * w) : w - lr * u;
  }
  return Ok{};
}

Status ReferenceEngine::read_state(std::span<float> state) {
  if (!loaded_ || state.size() != state_.size())
    return Error{Errc::invalid_argument, "no state, or another number of floats"};
  std::copy(state_.begin(), state_.end(), state.begin());
  return Ok{};
}

// PROTOCOL 4.1, element by element.
Bytes ReferenceEngine::tensor_bytes(const TensorInfo& tensor) const {
  const Layer& layer = layers_[tensor.layer];
  const Quantised* const groups[] = {&layer.x, &layer.w, &layer.g1, &layer.g2};
  const TensorKind kinds[] = {TensorKind::x, TensorKind::w, TensorKind::g1, TensorKind::g2};
  const TensorKind scales[] = {TensorKind::sx, TensorKind::sw, TensorKind::s1, TensorKind::s2};
  const auto floats = [](const Floats& values) {
    const ByteView view = as_bytes(std::span(values));
    return Bytes(view.begin(), view.end());
  };
  for (size_t g = 0; g < 4; ++g) {
    if (tensor.kind == scales[g]) return floats(groups[g]->s);
    if (tensor.kind != kinds[g]) continue;
    Bytes out;
    for (size_t panel = 0; panel < tensor.cols; panel += 64) {
      for (size_t r = 0; r < size_t{tensor.tile_rows()} * 16; ++r) {
        for (size_t c = panel; c < panel + 64; ++c) {
          const bool real = r < tensor.rows && c < tensor.cols;
          out.push_back(real ? static_cast<uint8_t>(groups[g]->q[r * tensor.cols + c]) : 0);
        }
      }
    }
    return out;
  }
  return tensor.kind == TensorKind::b
             ? floats(layer.b)
             : to_panel_order(layer.db_parts.data(), tensor.rows, tensor.cols, tensor.cols);
}

Result<Bytes> ReferenceEngine::read_tensor(uint32_t position) {
  if (position >= program_.tensors().size() || layers_.empty())
    return Error{Errc::invalid_argument, "no such tensor, or no step yet"};
  return tensor_bytes(program_.tensors()[position]);
}

}  // namespace gemmine::kernels
