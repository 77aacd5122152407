#include "kernels/reference/gpt.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/protocol_floats.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/chunk_source.h"
#include "kernels/numbers/philox.h"
#include "kernels/numbers/rederive.h"
#include "kernels/numbers/rows.h"

namespace gemmine::kernels {

using Floats = std::vector<float>;

namespace {

Status all_finite(std::span<const float> values, const std::string& what) {
  for (const float value : values)
    if (!std::isfinite(value)) return Error{Errc::invalid, "NaN or infinity in " + what};
  return Ok{};
}

std::string name_of(const TensorInfo& tensor) {
  return std::string(tensor_name(tensor.kind)) + "_" + std::to_string(tensor.layer);
}

}  // namespace

const TensorInfo& GptReferenceEngine::info(TensorKind kind, uint32_t layer) const {
  return program_.tensors()[program_.position(kind, layer)];
}

Status GptReferenceEngine::keep(TensorKind kind, uint32_t layer, Floats values) {
  const TensorInfo& tensor = info(kind, layer);
  GEMMINE_CHECK(values.size() == uint64_t{tensor.rows} * tensor.cols);
  if (Status status = all_finite(values, name_of(tensor)); !status) return status;
  floats_[{kind, layer}] = std::move(values);
  return Ok{};
}

Status GptReferenceEngine::quantise(TensorKind kind, uint32_t layer, const Floats& values) {
  const TensorInfo& tensor = info(kind, layer);
  if (Status status = all_finite(values, "what " + name_of(tensor) + " is made of"); !status)
    return status;
  const auto group = [&](uint32_t r, uint32_t c) {
    return tensor.groups == Groups::row_segments
               ? size_t{r} * (tensor.cols / tensor.span) + c / tensor.span
               : size_t{r / tensor.span} * tensor.cols + c;
  };
  std::vector<uint32_t> maxima(values.size() / tensor.span, 0);
  for (uint32_t r = 0; r < tensor.rows; ++r)
    for (uint32_t c = 0; c < tensor.cols; ++c) {
      uint32_t& most = maxima[group(r, c)];
      most = std::max(most, magnitude(values[size_t{r} * tensor.cols + c]));
    }
  Floats scales;
  Floats inverses;
  for (const uint32_t most : maxima) {
    const Scale scale = scale_of(most);
    scales.push_back(scale.s);
    inverses.push_back(scale.inv);
  }
  const StochasticKey bits{program_.spec().sr_seed, tensor.id, step_id_};
  Ints q(values.size());
  for (uint32_t r = 0; r < tensor.rows; ++r)
    for (uint32_t c = 0; c < tensor.cols; ++c) {
      const size_t at = size_t{r} * tensor.cols + c;
      const float inv = inverses[group(r, c)];
      q[at] = tensor.is_stochastic()
                  ? round_stochastic(values[at], inv, stochastic_u16(bits, r, c, tensor.cols))
                  : round_nearest(values[at], inv);
    }
  ints_[{kind, layer}] = std::move(q);
  const auto scale_kind = static_cast<TensorKind>(static_cast<uint8_t>(kind) + 1);
  return keep(scale_kind, layer, std::move(scales));
}

Status GptReferenceEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  loaded_ = false;
  if (state.size() != program_.state_floats() || steps_done > program_.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "state: wrong number of floats or steps"};
  if (Status status = all_finite(state, "the state"); !status) return status;
  state_.assign(state.begin(), state.end());
  steps_done_ = steps_done;
  loaded_ = true;
  return Ok{};
}

void GptReferenceEngine::take_sequence(ByteView tokens, uint32_t sequence, uint64_t start) {
  const GptShape& gpt = program_.spec().gpt;
  inputs_.resize(program_.rows());
  targets_.resize(program_.rows());
  for (uint32_t p = 0; p < gpt.context; ++p) {
    inputs_[sequence * gpt.context + p] = gpt.token_of(tokens, start + p);
    targets_[sequence * gpt.context + p] = gpt.token_of(tokens, start + p + 1);
  }
}

Result<StepResult> GptReferenceEngine::run_step(StepKey key, const Digest* step_key) {
  const ProtocolFloats floats;
  const Spec& spec = program_.spec();
  if (!loaded_ || key.step != steps_done_ || key.step >= spec.steps_per_lease ||
      key.round >= spec.rounds || key.slot >= spec.slots)
    return Error{Errc::invalid_argument, "no state, or not the next step"};
  loaded_ = false;
  step_id_ = program_.step_id(key);
  for (uint32_t b = 0; b < spec.batch; ++b)
    take_sequence(tokens_, b, program_.sequence_start(key, b));
  if (Status status = forward(); !status) return status.error();
  const Result<float> mean = loss();
  if (!mean) return mean.error();
  if (Status status = backward(); !status) return status.error();
  if (Status status = optimise(key); !status) return status.error();
  ++steps_done_;
  loaded_ = true;
  StepResult out{.loss = mean.value(), .roots = {}};
  if (step_key == nullptr) return out;
  for (uint32_t i = 0; i < program_.tensors().size(); ++i) {
    auto bytes = read_tensor(i);
    if (!bytes) return bytes.error();
    out.roots.push_back(blake3_keyed(*step_key, bytes.value()));
  }
  return out;
}

Status GptReferenceEngine::read_state(std::span<float> state) {
  if (!loaded_ || state.size() != state_.size())
    return Error{Errc::invalid_argument, "no state, or another number of floats"};
  std::copy(state_.begin(), state_.end(), state.begin());
  return Ok{};
}

// PROTOCOL 4.1, element by element.
Result<Bytes> GptReferenceEngine::read_tensor(uint32_t position) {
  if (position >= program_.tensors().size() || floats_.empty())
    return Error{Errc::invalid_argument, "no such tensor, or no step yet"};
  const TensorInfo& tensor = program_.tensors()[position];
  if (!tensor.is_int8()) {
    const Floats& values = floats(tensor.kind, tensor.layer);
    if (tensor.in_panels)
      return to_panel_order(values.data(), tensor.rows, tensor.cols, tensor.cols);
    const ByteView view = as_bytes(std::span<const float>(values));
    return Bytes(view.begin(), view.end());
  }
  const Ints& q = ints(tensor.kind, tensor.layer);
  Bytes out;
  out.reserve(tensor.bytes());
  for (size_t panel = 0; panel < tensor.cols; panel += 64)
    for (size_t r = 0; r < size_t{tensor.tile_rows()} * 16; ++r)
      for (size_t c = panel; c < panel + 64; ++c) {
        const bool real = r < tensor.rows && c < tensor.cols;
        out.push_back(real ? static_cast<uint8_t>(q[r * tensor.cols + c]) : 0);
      }
  return out;
}

// Tiles in tile order (4.1), or runs of 64.
Floats GptReferenceEngine::unit_squares_of(const ParameterInfo& parameter) const {
  const float* const g = gradient_.data() + parameter.offset;
  Floats out;
  if (parameter.is_vector()) {
    for (size_t first = 0; first < parameter.rows; first += 64)
      out.push_back(unit_squares(g + first, 0, 1, std::min<size_t>(64, parameter.rows - first)));
    return out;
  }
  for (size_t c = 0; c < parameter.cols; c += 64)
    for (size_t r = 0; r < parameter.rows; r += 16)
      out.push_back(unit_squares(g + r * parameter.cols + c, parameter.cols,
                                 std::min<size_t>(16, parameter.rows - r),
                                 std::min<size_t>(64, parameter.cols - c)));
  return out;
}

Status GptReferenceEngine::clip_gradient() {
  Floats sums;
  for (uint32_t j = 0; j < program_.parameter_list().size(); ++j) {
    Floats squares = unit_squares_of(program_.parameter_list()[j]);
    sums.push_back(longsum(squares.data(), squares.size()));
    if (Status status = keep(TensorKind::squares, j, std::move(squares)); !status) return status;
  }
  const float f = clip_factor_of(sums.data(), sums.size(), program_.spec().clip);
  for (float& g : gradient_)
    g = g * f;
  sums.push_back(f);
  return keep(TensorKind::clip, 0, std::move(sums));
}

Status GptReferenceEngine::optimise(StepKey key) {
  const Spec& spec = program_.spec();
  const float lr = program_.learning_rate(key);
  if (spec.clip > 0) {
    if (Status status = clip_gradient(); !status) return status;
  }
  float p1 = 1;
  float p2 = 1;
  for (uint32_t i = 0; i <= steps_done_; ++i) {
    p1 = p1 * spec.beta1;
    p2 = p2 * spec.beta2;
  }
  const uint64_t count = program_.parameters();
  for (const ParameterInfo& parameter : program_.parameter_list()) {
    for (uint64_t i = parameter.offset; i < parameter.offset + parameter.count(); ++i) {
      const float g = gradient_[i];
      float& w = state_[i];
      float& m = state_[i + count];
      if (spec.optimiser == Optimiser::sgd) {
        m = spec.beta1 * m + (parameter.decays() ? g + spec.wd * w : g);
        w = w - lr * m;
        continue;
      }
      float& v = state_[i + 2 * count];
      m = spec.beta1 * m + (1.0F - spec.beta1) * g;
      v = spec.beta2 * v + (1.0F - spec.beta2) * (g * g);
      const float u =
          (m * (1.0F / (1.0F - p1))) / (square_root(v * (1.0F / (1.0F - p2))) + spec.eps);
      w = parameter.decays() ? w - lr * (u + spec.wd * w) : w - lr * u;
    }
  }
  return all_finite(state_, "the new state");
}

Result<Evaluation> GptReferenceEngine::evaluate(std::span<const float> theta, ByteView tokens) {
  const ProtocolFloats floats;
  loaded_ = false;
  if (theta.size() != program_.parameters())
    return Error{Errc::invalid_argument, "theta: wrong number of floats"};
  state_.assign(program_.state_floats(), 0.0F);
  std::copy(theta.begin(), theta.end(), state_.begin());
  const GptShape& gpt = program_.spec().gpt;
  const uint64_t count = tokens.size() / gpt.token_bytes;
  const uint64_t windows = count > 0 ? (count - 1) / gpt.context : 0;
  Evaluation out;
  for (uint64_t first = 0; first < windows; first += program_.spec().batch) {
    const uint64_t here = std::min<uint64_t>(program_.spec().batch, windows - first);
    for (uint32_t b = 0; b < program_.spec().batch; ++b)
      take_sequence(tokens, b, (first + std::min<uint64_t>(b, here - 1)) * gpt.context);
    if (Status status = forward(); !status) return status.error();
    if (auto mean = loss(); !mean) return mean.error();
    for (uint32_t t = 0; t < here * gpt.context; ++t) {
      const float* const row = &logits_[size_t{t} * gpt.vocabulary];
      const auto best = std::max_element(row, row + gpt.vocabulary) - row;
      out.correct += static_cast<uint32_t>(best) == targets_[t];
      out.loss += static_cast<double>(nll_[t]);
      ++out.records;
    }
  }
  if (out.records > 0) out.loss /= static_cast<double>(out.records);
  return out;
}

}  // namespace gemmine::kernels
