#include "tests/thefts/thief.h"

#include <algorithm>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/numbers/philox.h"
#include "verifier/audit/gpt_values.h"

namespace gemmine::thefts {

using kernels::Groups;
using kernels::TensorInfo;
using kernels::TensorKind;

namespace {

Bytes bytes_of(const Floats& values) {
  const ByteView view = as_bytes(std::span<const float>(values));
  return {view.begin(), view.end()};
}

struct Quantised {
  Bytes tiles;
  Bytes scales;
};

Quantised quantise(const TensorInfo& tensor, const Floats& values, uint64_t seed,
                   uint32_t step_id) {
  const auto group = [&](size_t at) {
    const auto r = static_cast<uint32_t>(at / tensor.cols);
    const auto c = static_cast<uint32_t>(at % tensor.cols);
    return tensor.groups == Groups::row_segments
               ? size_t{r} * (tensor.cols / tensor.span) + c / tensor.span
               : size_t{r / tensor.span} * tensor.cols + c;
  };
  std::vector<uint32_t> maxima(values.size() / tensor.span, 0);
  for (size_t i = 0; i < values.size(); ++i)
    maxima[group(i)] = std::max(maxima[group(i)], kernels::magnitude(values[i]));
  Floats scales;
  for (const uint32_t most : maxima)
    scales.push_back(kernels::scale_of(most).s);
  const kernels::StochasticKey bits{seed, tensor.id, step_id};
  std::vector<int8_t> q(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float inv = kernels::scale_of(maxima[group(i)]).inv;
    const auto r = static_cast<uint32_t>(i / tensor.cols);
    const auto c = static_cast<uint32_t>(i % tensor.cols);
    q[i] = tensor.is_stochastic()
               ? kernels::round_stochastic(values[i], inv,
                                           kernels::stochastic_u16(bits, r, c, tensor.cols))
               : kernels::round_nearest(values[i], inv);
  }
  return {kernels::to_tile_order(q.data(), tensor.rows, tensor.cols, tensor.cols),
          bytes_of(scales)};
}

}  // namespace

ByteView WholeSource::chunk(verifier::ObjectId object, uint64_t index) {
  ByteView all;
  if (object.origin == verifier::Origin::tensor) all = tensors_[object.position];
  if (object.origin == verifier::Origin::state_before) all = state_before_;
  if (object.origin == verifier::Origin::train) all = tokens_;
  const size_t first = index * verifier::kChunk;
  return first < all.size() ? all.subspan(first, std::min(verifier::kChunk, all.size() - first))
                            : ByteView{};
}

Thief::Thief(const kernels::Program& program, ByteView tokens, const Theft& theft)
    : program_(program),
      tokens_(tokens),
      theft_(theft),
      trainer_(std::move(kernels::make_engine("cpu", program, tokens, 1).value())) {}

Status Thief::load_state(std::span<const float> state, uint32_t steps_done) {
  start_.assign(state.begin(), state.end());
  steps_.clear();
  return trainer_->load_state(state, steps_done);
}

Result<kernels::StepResult> Thief::run_step(kernels::StepKey key, const Digest* step_key) {
  state_ = start_;
  if (theft_.weights == Weights::trained) {
    if (auto read = trainer_->read_state(state_); !read) return read.error();
  }
  if (theft_.weights == Weights::first_only && !steps_.empty()) state_.assign(state_.size(), 0.0F);
  auto out = trainer_->run_step(key, nullptr);
  if (!out) return out;
  steps_.push_back({std::vector<Bytes>(program_.tensors().size()),
                    std::vector<Floats>(program_.tensors().size())});
  WholeSource source(steps_.back().bytes, state_, tokens_);
  verifier::BlockReader reader(program_, source);
  for (uint32_t i = 0; i < program_.tensors().size(); ++i)
    commit(key, i, reader);
  standing_ = steps_.size() - 1;
  for (const Bytes& bytes : steps_.back().bytes)
    out.value().roots.push_back(kernels::blake3_keyed(*step_key, bytes));
  return out;
}

void Thief::commit(kernels::StepKey key, uint32_t position, verifier::BlockReader& reader) {
  Step& step = steps_.back();
  const TensorInfo& tensor = program_.tensors()[position];
  if (tensor.kind == TensorKind::b) {
    const auto first = static_cast<ptrdiff_t>(program_.bias_offset(tensor.layer));
    step.bytes[position] =
        bytes_of(Floats(state_.begin() + first, state_.begin() + first + tensor.rows));
    return;
  }
  if (!tensor.is_int8() && !tensor.is_checked_f32()) return;  // a scale: came with its ints
  const Floats* const before =
      steps_.size() > 1 ? &steps_[steps_.size() - 2].values[position] : nullptr;
  Draft draft{program_, tensor, key, reader, before, {}};
  draft.values =
      verifier::GptValues(program_, key, reader).values(tensor, {0, tensor.rows}, {0, tensor.cols});
  theft_.bend(draft);
  if (tensor.is_int8()) {
    auto made = quantise(tensor, draft.values, program_.spec().sr_seed, program_.step_id(key));
    step.bytes[position] = std::move(made.tiles);
    step.bytes[position + 1] = std::move(made.scales);
  } else {
    step.bytes[position] = bytes_of(draft.values);
  }
  step.values[position] = std::move(draft.values);
}

Status Thief::read_state(std::span<float> state) {
  if (theft_.weights == Weights::trained) return trainer_->read_state(state);
  std::copy(start_.begin(), start_.end(), state.begin());
  return Ok{};
}

Result<Bytes> Thief::read_tensor(uint32_t position) {
  return steps_.at(standing_).bytes[position];
}

}  // namespace gemmine::thefts
