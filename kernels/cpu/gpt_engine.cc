#include "kernels/cpu/gpt_engine.h"

#include <algorithm>

#include "kernels/base/protocol_floats.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {
namespace {

constexpr size_t kRunRowsMax = 128;

}  // namespace

GptCpuEngine::ScratchLease::ScratchLease(GptCpuEngine& engine) : engine_(engine) {
  const std::lock_guard lock(engine.scratch_mutex_);
  GEMMINE_CHECK(!engine.free_scratches_.empty());
  scratch_ = engine.free_scratches_.back();
  engine.free_scratches_.pop_back();
}

GptCpuEngine::ScratchLease::~ScratchLease() {
  const std::lock_guard lock(engine_.scratch_mutex_);
  engine_.free_scratches_.push_back(scratch_);
}

GptCpuEngine::GptCpuEngine(const Program& program, ByteView tokens, int threads)
    : StepEngine(program, tokens, threads),
      gpt_(&gpt_passes()),
      rows_(program.rows()),
      width_(program.spec().gpt.width),
      fused_(program.spec().clip == 0),
      linears_(program.linears().size()),
      blocks_(program.spec().gpt.blocks),
      norms_(program.spec().gpt.last_norm() + 1),
      residuals_(norms_.size()),
      d_residuals_(blocks_.size() + 1),
      scratches_(static_cast<size_t>(pool_.threads())) {
  GEMMINE_CHECK(program.is_gpt());
  const GptShape& gpt = program.spec().gpt;
  size_t widest = 0;
  for (uint32_t linear = 0; linear < linears_.size(); ++linear) {
    reserve_linear(linear);
    widest = std::max(widest, linears_[linear].outputs);
  }
  for (Block& block : blocks_)
    reserve_block(block);
  for (NormPlace& norm : norms_) {
    norm.gain.resize(width_);
    if (gpt.norm == Norm::layer) norm.shift.resize(width_);
    norm.gradient.resize(rows_ * width_);
    norm.gain_parts.resize(rows_ / kColumnSumRun * width_);
    if (gpt.norm == Norm::layer) norm.shift_parts.resize(rows_ / kColumnSumRun * width_);
  }
  for (std::vector<Floats>* matrices : {&residuals_, &d_residuals_})
    for (Floats& matrix : *matrices)
      matrix.resize(rows_ * width_);
  loss_max_.resize(rows_ * gpt.loss_groups());
  loss_sum_.resize(rows_ * gpt.loss_groups());
  nll_.resize(rows_);
  wide_.resize(rows_ * widest);
  middle_.resize(rows_ * width_);
  d_mixed_.resize(rows_ * width_);
  v_max_.resize(program.spec().batch * width_);
  go_max_.resize(program.spec().batch * width_);
  inv_v_.resize(program.spec().batch * width_);
  inputs_.resize(rows_);
  targets_.resize(rows_);
  for (Scratch& scratch : scratches_) {
    scratch.row.resize(3 * width_);
    scratch.maxima.resize(widest);
    scratch.attention.reserve({gpt.context, gpt.head_width(), width_, gpt.heads});
    free_scratches_.push_back(&scratch);
  }
  lay_out_runs();
  lay_out_gradient();
}

void GptCpuEngine::reserve_linear(uint32_t index) {
  Linear& linear = linears_[index];
  const LinearInfo& info = program_.linears()[index];
  const size_t k = linear.inputs = info.inputs;
  const size_t n = linear.outputs = info.outputs;
  linear.x.resize(rows_ * k);
  linear.w.resize(n * k);
  linear.g1.resize(rows_ * n);
  linear.g2.resize(rows_ * n);
  linear.sx.resize(rows_);
  linear.s1.resize(rows_);
  for (Floats* by_output : {&linear.sw, &linear.s2, &linear.inv2})
    by_output->resize(n);
  if (info.has_bias) linear.b.resize(n);
  GEMMINE_CHECK(rows_ % kColumnSumRun == 0);
  linear.db_parts.resize(rows_ / kColumnSumRun * n);
  linear.maxima.resize(std::max(rows_, n));
  linear.w_max.resize(n);
  // As the products below will, each keeping what an earlier one needed.
  packed_.a.resize(rows_, std::max(n, k));
  packed_.a.resize(n, rows_);
  packed_.b.resize(n, k);
  packed_.b.resize(k, std::max(n, rows_));
}

void GptCpuEngine::reserve_block(Block& block) {
  const GptShape& gpt = program_.spec().gpt;
  for (Ints* ints : {&block.q, &block.k, &block.v, &block.ho, &block.go})
    ints->resize(rows_ * width_);
  for (Floats* by_head : {&block.sq, &block.sk, &block.m, &block.l, &block.delta, &block.sh})
    by_head->resize(rows_ * gpt.heads);
  for (Floats* by_column : {&block.sv, &block.sg})
    by_column->resize(program_.spec().batch * width_);
  block.mixed.resize(rows_ * width_);
  block.slope.resize(rows_ * gpt.hidden);
}

void GptCpuEngine::lay_out_runs() {
  const auto threads = static_cast<size_t>(pool_.threads());
  const size_t share = (rows_ + 4 * threads - 1) / (4 * threads);
  const size_t wanted = threads == 1 ? kRunRowsMax : std::min(share, kRunRowsMax);
  const size_t run = (wanted + kColumnSumRun - 1) / kColumnSumRun * kColumnSumRun;
  const size_t context = program_.spec().gpt.context;
  for (size_t first = 0; first < rows_; first += run)
    runs_.push_back({first, std::min(first + run, rows_), 0});
  for (size_t sequence = 0; sequence < program_.spec().batch; ++sequence)
    for (size_t at = 0; at < context; at += run) {
      const size_t first = sequence * context + at;
      sequence_runs_.push_back({first, first + std::min(run, context - at), sequence});
    }
}

// Which gradients are kept, where, and the pieces in which they are measured and used.
void GptCpuEngine::lay_out_gradient() {
  constexpr size_t kPieceFloats = 16384;
  size_t kept = 0;
  for (uint32_t i = 0; i < program_.parameter_list().size(); ++i) {
    const ParameterInfo& parameter = program_.parameter_list()[i];
    gradient_at_.push_back(kept);
    if (parameter.kind == ParameterKind::gain) gain_parameters_.push_back(i);
    if (fused_ && parameter.kind == ParameterKind::weight) continue;
    const size_t count = parameter.count();
    kept += count;
    const size_t cols = parameter.is_vector() ? count : parameter.cols;
    GEMMINE_CHECK(cols > 0);
    const size_t rows = count / cols;
    const size_t step = std::max<size_t>(1, kPieceFloats / cols / kTileRows) * kTileRows;
    for (size_t first = 0; first < rows; first += step)
      pieces_.push_back({i, first, std::min(step, rows - first)});
    if (!fused_) squares_.emplace_back(parameter.units());
  }
  gradient_.resize(kept);
  if (!fused_) clip_.resize(squares_.size() + 1);
  if (program_.spec().gpt.tied) d_tokens_.resize(program_.parameter_list()[0].count());
}

NormWeights GptCpuEngine::norm_weights(uint32_t norm) const {
  const NormPlace& place = norms_[norm];
  const bool layer = program_.spec().gpt.norm == Norm::layer;
  return {program_.spec().gpt.norm, place.gain.data(), layer ? place.shift.data() : nullptr,
          width_};
}

Status GptCpuEngine::finite(TensorKind kind, uint32_t layer, std::string_view of) const {
  if (worst_ < kNotFinite) return Ok{};
  return Error{Errc::invalid, "NaN or infinity in " + std::string(of) + tensor_name(kind) + "_" +
                                  std::to_string(layer)};
}

Status GptCpuEngine::check_state() {
  if (passes_->absmax(state_.data(), state_.size()) < kNotFinite) return Ok{};
  return Error{Errc::invalid, "NaN or infinity in the state"};
}

void GptCpuEngine::measure_weights() {
  for (uint32_t i = 0; i < linears_.size(); ++i) {
    Linear& linear = linears_[i];
    const float* const w = state_.data() + program_.weight_offset(i);
    pool_.run(linear.outputs, [&](size_t n) {
      linear.w_max[n] = passes_->absmax(w + n * linear.inputs, linear.inputs);
    });
  }
}

void GptCpuEngine::take_sequence(ByteView tokens, uint32_t sequence, uint64_t start) {
  const GptShape& gpt = program_.spec().gpt;
  for (uint32_t p = 0; p < gpt.context; ++p) {
    inputs_[sequence * size_t{gpt.context} + p] = gpt.token_of(tokens, start + p);
    targets_[sequence * size_t{gpt.context} + p] = gpt.token_of(tokens, start + p + 1);
  }
}

Result<float> GptCpuEngine::step(StepKey key) {
  gpt_ = &gpt_passes();
  for (uint32_t b = 0; b < program_.spec().batch; ++b)
    take_sequence(records_, b, program_.sequence_start(key, b));
  if (Status status = forward(); !status) return status.error();
  const Result<float> mean = loss(true);
  if (!mean) return mean;
  if (Status status = backward(); !status) return status.error();
  if (Status status = optimise(); !status) return status.error();
  return mean;
}

Result<Evaluation> GptCpuEngine::evaluate(std::span<const float> theta, ByteView tokens) {
  const ProtocolFloats floats;
  if (Status status = take_theta(theta); !status) return status.error();
  const GptShape& gpt = program_.spec().gpt;
  const uint64_t count = tokens.size() / gpt.token_bytes;
  const uint64_t windows = count > 0 ? (count - 1) / gpt.context : 0;
  Evaluation out;
  for (uint64_t first = 0; first < windows; first += program_.spec().batch) {
    const uint64_t here = std::min<uint64_t>(program_.spec().batch, windows - first);
    for (uint32_t b = 0; b < program_.spec().batch; ++b)
      take_sequence(tokens, b, (first + std::min<uint64_t>(b, here - 1)) * gpt.context);
    if (Status status = forward(); !status) return status.error();
    count_right(out, here);
    if (auto mean = loss(false); !mean) return mean.error();
    for (size_t t = 0; t < here * gpt.context; ++t)
      out.loss += static_cast<double>(nll_[t]);
  }
  if (out.records > 0) out.loss /= static_cast<double>(out.records);
  return out;
}

void GptCpuEngine::count_right(Evaluation& out, size_t sequences) const {
  const GptShape& gpt = program_.spec().gpt;
  for (size_t t = 0; t < sequences * gpt.context; ++t) {
    const float* const row = wide_.data() + t * gpt.vocabulary;
    const auto best = std::max_element(row, row + gpt.vocabulary) - row;
    out.correct += static_cast<uint32_t>(best) == targets_[t] ? 1 : 0;
    ++out.records;
  }
}

}  // namespace gemmine::kernels
