#include "tests/thefts/thief.h"

#include <algorithm>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/numbers/philox.h"
#include "verifier/audit/gpt_values.h"
#include "verifier/audit/mlp_values.h"
#include "verifier/thread/draw.h"
#include "verifier/thread/link.h"

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

// The chunks of whole objects in memory.
class MemorySource final : public verifier::BlockSource {
 public:
  MemorySource(const std::vector<Bytes>& tensors, std::span<const float> state, ByteView train)
      : tensors_(tensors), state_(as_bytes(state)), train_(train) {}
  ByteView chunk(verifier::ObjectId object, uint64_t index) override {
    ByteView all;
    if (object.origin == verifier::Origin::tensor) all = tensors_[object.position];
    if (object.origin == verifier::Origin::state_before) all = state_;
    if (object.origin == verifier::Origin::train) all = train_;
    const size_t first = index * verifier::kChunk;
    return first < all.size() ? all.subspan(first, std::min(verifier::kChunk, all.size() - first))
                              : ByteView{};
  }

 private:
  const std::vector<Bytes>& tensors_;
  const ByteView state_;
  const ByteView train_;
};

Floats values_of(const kernels::Program& program, kernels::StepKey key,
                 verifier::BlockReader& reader, const TensorInfo& tensor) {
  const verifier::Range rows{0, tensor.rows};
  const verifier::Range cols{0, tensor.cols};
  if (program.is_gpt()) return verifier::GptValues(program, key, reader).values(tensor, rows, cols);
  return verifier::MlpValues(program, key, reader).values(tensor, rows, cols);
}

// cf, of the sums that are committed to already.
Floats clip_of(const kernels::Program& program, verifier::BlockReader& reader) {
  Floats out;
  float sum = 0.0F;
  for (uint32_t j = 0; j < program.parameter_list().size(); ++j) {
    const uint32_t units = program.parameter_list()[j].units();
    const Floats squares = reader.run(TensorKind::squares, j, {0, units});
    out.push_back(kernels::longsum(squares.data(), squares.size()));
    sum = sum + out.back();
  }
  const float n = kernels::square_root(sum);
  out.push_back(n > program.spec().clip ? program.spec().clip / n : 1.0F);
  return out;
}

}  // namespace

Thief::Thief(const kernels::Program& program, ByteView train, const Theft& theft)
    : program_(program),
      train_(train),
      theft_(theft),
      engine_(std::move(kernels::make_engine("cpu", program, train, 1).value())) {}

Status Thief::load_state(std::span<const float> state, uint32_t steps_done) {
  if (steps_done == 0 && start_.empty()) {
    start_.assign(state.begin(), state.end());
    state_ = start_;
  }
  return Ok{};
}

Result<kernels::StepResult> Thief::run_step(kernels::StepKey key, const Digest* step_key) {
  if (key.step == steps_.size()) {
    if (theft_.before) theft_.before(program_, key.step, state_);
    steps_.push_back({std::vector<Bytes>(program_.tensors().size()),
                      std::vector<Floats>(program_.tensors().size())});
    std::vector<float> next(state_.size());
    if (theft_.sideways()) {
      run_sideways(key, next);
    } else if (auto ran = run_honestly(key, next); !ran) {
      return ran.error();
    }
    if (theft_.after) theft_.after(program_, key.step, state_, next);
    if (theft_.updates(key.step)) state_ = std::move(next);
  }
  GEMMINE_CHECK(key.step < steps_.size());
  standing_ = key.step;
  kernels::StepResult out{steps_[standing_].loss, {}};
  if (step_key != nullptr)
    for (const Bytes& bytes : steps_[standing_].bytes)
      out.roots.push_back(kernels::blake3_keyed(*step_key, bytes));
  return out;
}

Status Thief::run_honestly(kernels::StepKey key, std::vector<float>& next) {
  if (auto loaded = engine_->load_state(state_, key.step); !loaded) return loaded.error();
  const Digest any;
  auto done = engine_->run_step(key, &any);
  if (!done) return done.error();
  Step& step = steps_.back();
  step.loss = done.value().loss;
  for (uint32_t i = 0; i < step.bytes.size(); ++i)
    step.bytes[i] = engine_->read_tensor(i).value();
  return engine_->read_state(next);
}

void Thief::run_sideways(kernels::StepKey key, std::vector<float>& next) {
  MemorySource source(steps_.back().bytes, state_, train_);
  verifier::BlockReader reader(program_, source);
  for (uint32_t i = 0; i < program_.tensors().size(); ++i)
    commit(key, i, reader);
  steps_.back().loss = 1;
  follow(key, next);
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
  Draft draft{program_, tensor, key, reader, state_, before, {}};
  draft.values = tensor.kind == TensorKind::clip ? clip_of(program_, reader)
                                                 : values_of(program_, key, reader, tensor);
  if (theft_.bend) theft_.bend(draft);
  if (tensor.is_int8()) {
    auto made = quantise(tensor, draft.values, program_.spec().sr_seed, program_.step_id(key));
    step.bytes[position] = std::move(made.tiles);
    step.bytes[position + 1] = std::move(made.scales);
    if (theft_.forge) theft_.forge(program_.tensors()[position + 1], key, step.bytes[position + 1]);
  } else if (tensor.in_panels) {
    step.bytes[position] =
        kernels::to_panel_order(draft.values.data(), tensor.rows, tensor.cols, tensor.cols);
  } else {
    step.bytes[position] = bytes_of(draft.values);
  }
  if (theft_.forge) theft_.forge(tensor, key, step.bytes[position]);
  step.values[position] = std::move(draft.values);
}

// Every unit of every parameter moves as an auditor who looked at it would say.
void Thief::follow(kernels::StepKey key, std::vector<float>& next) const {
  MemorySource source(steps_.back().bytes, state_, train_);
  const auto read = [this](uint64_t offset, std::span<uint8_t> out) -> Status {
    std::copy_n(train_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return Ok{};
  };
  const auto tokens = verifier::step_tokens(program_, key, read).value();
  verifier::StepLinks links(program_, key, source, tokens);
  const verifier::StepRates rates = verifier::rates_of(program_, key);
  float factor = 1;
  links.check_clip(factor);
  const uint64_t count = program_.parameters();
  next = state_;
  for (uint32_t j = 0; j < program_.parameter_list().size(); ++j) {
    const kernels::ParameterInfo& parameter = program_.parameter_list()[j];
    for (uint32_t unit = 0; unit < parameter.units(); ++unit) {
      const verifier::Fibre fibre = verifier::unit_fibre(program_, j, unit);
      verifier::FibreSums sums = verifier::empty_sums(program_, fibre);
      for (uint32_t piece = 0; piece < verifier::pieces_of(program_, fibre); ++piece)
        links.add_piece(fibre, piece, sums);
      verifier::FibreState state;
      Floats* const parts[] = {&state.w, &state.m, &state.v};
      const auto each = [&](auto act) {
        for (uint64_t copy = 0; copy < state_.size() / count; ++copy)
          for (uint32_t i = 0; i < fibre.count(); ++i) {
            const uint64_t place =
                parameter.offset +
                uint64_t{fibre.rows.first + i / fibre.cols.count} * parameter.cols +
                fibre.cols.first + i % fibre.cols.count;
            act(*parts[copy], copy * count + place, i);
          }
      };
      each([&](Floats& part, uint64_t place, uint32_t) { part.push_back(state_[place]); });
      verifier::move_fibre(program_, fibre, rates, factor, links.gradient(fibre, sums), state);
      each([&](Floats& part, uint64_t place, uint32_t i) { next[place] = part[i]; });
    }
  }
}

Status Thief::read_state(std::span<float> state) {
  std::copy(state_.begin(), state_.end(), state.begin());
  if (theft_.claim) theft_.claim(start_, state);
  return Ok{};
}

Result<Bytes> Thief::read_tensor(uint32_t position) {
  return steps_.at(standing_).bytes[position];
}

}  // namespace gemmine::thefts
