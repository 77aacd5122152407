#include "kernels/model/program.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "kernels/base/check.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels {
namespace {

Error refuse(std::string_view field, std::string_view rule) {
  return {Errc::invalid_argument, std::string(field) + " " + std::string(rule)};
}

Status check_gpt(const Spec& spec) {
  const GptShape& gpt = spec.gpt;
  const auto in = [](uint64_t x, uint64_t low, uint64_t high) { return x >= low && x <= high; };
  if (!in(gpt.vocabulary, 2, kVocabularyMax)) return refuse("vocabulary", "must be in 2 … 16384");
  if (!in(gpt.width, 64, kModelWidthMax)) return refuse("width", "must be in 64 … 4096");
  if (!in(gpt.heads, 1, kHeadsMax)) return refuse("heads", "must be in 1 … 64");
  const uint32_t d = gpt.head_width();
  if (gpt.width % gpt.heads != 0 || !std::has_single_bit(d) || !in(d, 16, 256))
    return refuse("heads", "must cut width into a power of two of features in 16 … 256");
  if (!in(gpt.hidden, 16, kWidthMax)) return refuse("hidden", "must be in 16 … 16384");
  if (!in(gpt.blocks, 1, kBlocksMax)) return refuse("blocks", "must be in 1 … 64");
  if (!in(gpt.context, 16, kContextMax) || gpt.context % 16 != 0)
    return refuse("context", "must be a multiple of 16 in 16 … 8192");
  if (gpt.norm != Norm::rms && gpt.norm != Norm::layer)
    return refuse("norm", "must be 1 (RMSNorm) or 2 (LayerNorm)");
  if (gpt.activation != Activation::gelu && gpt.activation != Activation::silu)
    return refuse("activation", "must be 1 (GELU) or 2 (SiLU)");
  if (gpt.token_bytes != 2 && (gpt.token_bytes != 1 || gpt.vocabulary > 256))
    return refuse("token_bytes", "must be 2, or 1 for a vocabulary of at most 256");
  if (gpt.opening_bytes() > kAttentionOpeningMax)
    return refuse("context", "is too long for the opening of an attention block of this width");
  if (spec.records <= gpt.context || spec.records > kRecordsMax)
    return refuse("records", "must be more tokens than the context has, at most 2^31 - 1");
  const uint64_t rows = uint64_t{spec.batch} * gpt.context;
  if (!in(rows, 1, kBatchMax)) return refuse("batch", "times context must be in 1 … 65536");
  if (rows * gpt.heads * ((gpt.context + 127) / 128) >= uint64_t{1} << 28)
    return refuse("batch", "times context, heads and context / 128 must be less than 2^28");
  const uint64_t per_block =
      uint64_t{gpt.width} * (4 * gpt.width + 2 * gpt.hidden + 9) + gpt.hidden;
  const uint64_t embeddings =
      uint64_t{gpt.width} * ((gpt.tied ? 1 : 2) * gpt.vocabulary + gpt.context + 2);
  if (gpt.blocks * per_block + embeddings > kParametersMax)
    return refuse("blocks", "give more than 2^30 parameters");
  return Ok{};
}

Status check_sizes(const Spec& spec) {
  if (spec.architecture == Architecture::gpt) return check_gpt(spec);
  if (spec.architecture != Architecture::mlp)
    return refuse("architecture", "must be 1 (mlp) or 2 (gpt)");
  if (spec.widths.size() < 2 || spec.widths.size() > kLayersMax + 1)
    return refuse("widths", "must name 1 to 16 layers (2 to 17 widths)");
  uint64_t parameters = 0;
  for (size_t i = 0; i < spec.widths.size(); ++i) {
    if (spec.widths[i] == 0 || spec.widths[i] > kWidthMax)
      return refuse("widths[" + std::to_string(i) + "]", "must be in 1 … 16384");
    if (i > 0) parameters += uint64_t{spec.widths[i]} * (spec.widths[i - 1] + 1);
  }
  if (parameters > kParametersMax) return refuse("widths", "give more than 2^30 parameters");
  if (spec.records == 0 || spec.records > kRecordsMax)
    return refuse("records", "must be in 1 … 2^31 - 1");
  if (spec.batch == 0 || spec.batch > kBatchMax) return refuse("batch", "must be in 1 … 65536");
  return Ok{};
}

Status check_schedule(const Spec& spec) {
  if (spec.steps_per_lease == 0 || spec.steps_per_lease > kStepsPerLeaseMax)
    return refuse("steps_per_lease", "must be in 1 … 65536");
  if (spec.slots == 0 || spec.slots > kSlotsMax) return refuse("slots", "must be in 1 … 4096");
  if (spec.rounds == 0) return refuse("rounds", "must be at least 1");
  const uint64_t positions = uint64_t{spec.rounds} * spec.steps_per_lease;
  if (positions >= uint64_t{1} << 24)
    return refuse("rounds", "times steps_per_lease must be less than 2^24");
  if (positions * spec.slots >= uint64_t{1} << 32)
    return refuse("rounds", "times slots times steps_per_lease must be less than 2^32");
  if (spec.warmup > positions)
    return refuse("warmup", "must not exceed rounds times steps_per_lease");
  return Ok{};
}

Status check_numbers(const Spec& spec) {
  if (!std::isfinite(spec.feature_scale)) return refuse("feature_scale", "must be finite");
  if (!std::isfinite(spec.feature_shift)) return refuse("feature_shift", "must be finite");
  if (spec.optimiser != Optimiser::sgd && spec.optimiser != Optimiser::adamw)
    return refuse("optimiser", "must be 1 (SGD) or 2 (AdamW)");
  // Written so that a NaN fails.
  const auto at_least_0 = [](float x) { return std::isfinite(x) && x >= 0; };
  if (!at_least_0(spec.lr)) return refuse("lr", "must be finite and not negative");
  if (!(at_least_0(spec.beta1) && spec.beta1 < 1)) return refuse("beta1", "must be in 0 … <1");
  if (!(at_least_0(spec.beta2) && spec.beta2 < 1)) return refuse("beta2", "must be in 0 … <1");
  if (!at_least_0(spec.eps)) return refuse("eps", "must be finite and not negative");
  if (!at_least_0(spec.clip)) return refuse("clip", "must be finite and not negative");
  if (!(spec.outer_lr > 0 && spec.outer_lr <= 16)) return refuse("outer_lr", "must be in >0 … 16");
  if (!(at_least_0(spec.outer_momentum) && spec.outer_momentum < 1))
    return refuse("outer_momentum", "must be in 0 … <1");
  const bool outer = spec.clip != 0 || spec.outer_lr != 1 || spec.outer_momentum != 0;
  if (spec.architecture == Architecture::mlp && outer)
    return refuse("clip", "and an outer optimiser are of the gpt architecture");
  if (!at_least_0(spec.wd)) return refuse("wd", "must be finite and not negative");
  return Ok{};
}

}  // namespace

Result<Program> Program::make(const Spec& spec) {
  for (const auto check : {check_sizes, check_schedule, check_numbers}) {
    if (Status status = check(spec); !status) return status.error();
  }
  Program program;
  program.spec_ = spec;
  if (program.is_gpt()) {
    program.lay_out_gpt();
  } else {
    program.lay_out_mlp();
  }
  program.state_floats_ = program.parameters_ * (spec.optimiser == Optimiser::sgd ? 2 : 3);
  return program;
}

const char* tensor_name(TensorKind kind) {
  constexpr const char* kFirst[] = {"X", "sx", "W", "sw", "b", "G1", "s1", "G2", "s2"};
  constexpr const char* kSecond[] = {"R",  "D",  "gain", "shift", "N",  "Q",   "sq",
                                     "K",  "sk", "V",    "sv",    "m",  "l",   "delta",
                                     "HO", "sh", "GO",   "sg",    "mu", "zeta"};
  const auto number = static_cast<size_t>(kind);
  const auto second = static_cast<size_t>(TensorKind::residual);
  return number < second ? kFirst[number] : kSecond[number - second];
}

bool TensorInfo::is_checked_f32() const {
  switch (kind) {
    case TensorKind::residual:
    case TensorKind::d_residual:
    case TensorKind::gain:
    case TensorKind::shift:
    case TensorKind::d_norm:
    case TensorKind::row_max:
    case TensorKind::row_sum:
    case TensorKind::delta_dot:
    case TensorKind::loss_max:
    case TensorKind::loss_sum:
      return true;
    default:
      return false;
  }
}

void Program::add_parameter(ParameterKind kind, uint32_t index, uint32_t rows, uint32_t cols) {
  parameter_list_.push_back({kind, index, rows, cols, parameters_});
  parameters_ += parameter_list_.back().count();
}

void Program::add_int8(TensorKind kind, uint32_t layer, uint32_t rows, uint32_t cols, uint32_t id,
                       Groups groups, uint32_t span) {
  tensors_.push_back({kind, layer, rows, cols, groups, span, id});
  const auto scale = static_cast<TensorKind>(static_cast<uint8_t>(kind) + 1);
  if (groups == Groups::row_segments) {
    add_f32(scale, layer, rows, cols / span);
  } else if (kind == TensorKind::g2) {
    add_f32(scale, layer, cols, 1);  // G2's, a vector
  } else {
    add_f32(scale, layer, rows / span, cols);
  }
}

void Program::add_f32(TensorKind kind, uint32_t layer, uint32_t rows, uint32_t cols) {
  tensors_.push_back({.kind = kind, .layer = layer, .rows = rows, .cols = cols});
}

// X sx W sw b.
void Program::add_linear_forward(uint32_t linear) {
  const LinearInfo& info = linears_[linear];
  const Groups by_row = Groups::row_segments;
  add_int8(TensorKind::x, linear, rows(), info.inputs, 16 * linear, by_row, info.inputs);
  add_int8(TensorKind::w, linear, info.outputs, info.inputs, 16 * linear + 2, by_row, info.inputs);
  if (info.has_bias) add_f32(TensorKind::b, linear, info.outputs, 1);
}

// G1 s1 (unless it is an MLP's first layer) G2 s2.
void Program::add_linear_backward(uint32_t linear) {
  const uint32_t outputs = linears_[linear].outputs;
  if (is_gpt() || linear > 0)
    add_int8(TensorKind::g1, linear, rows(), outputs, 16 * linear + 5, Groups::row_segments,
             outputs);
  add_int8(TensorKind::g2, linear, rows(), outputs, 16 * linear + 7, Groups::column_runs, rows());
}

void Program::lay_out_mlp() {
  for (uint32_t l = 0; l < layers(); ++l) {
    const auto weight = static_cast<uint32_t>(parameter_list_.size());
    linears_.push_back({inputs(l), outputs(l), weight, true});
    offsets_.push_back(parameters_);
    add_parameter(ParameterKind::weight, l, outputs(l), inputs(l));
    add_parameter(ParameterKind::bias, l, outputs(l), 1);
    macs_ += uint64_t{spec_.batch} * outputs(l) * inputs(l) * (l > 0 ? 3 : 2);
    add_linear_forward(l);
  }
  for (uint32_t l = layers(); l-- > 0;)
    add_linear_backward(l);
}

uint32_t Program::position(TensorKind kind, uint32_t layer) const {
  for (uint32_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].kind == kind && tensors_[i].layer == layer) return i;
  }
  GEMMINE_CHECK(!"the tensor exists");
  return 0;
}

float Program::learning_rate(StepKey key) const {
  const uint32_t t = key.round * spec_.steps_per_lease + key.step;
  const uint32_t total = spec_.rounds * spec_.steps_per_lease;
  if (t < spec_.warmup)
    return spec_.lr * (static_cast<float>(t + 1) / static_cast<float>(spec_.warmup));
  return spec_.lr * (static_cast<float>(total - t) / static_cast<float>(total - spec_.warmup));
}

uint32_t Program::record_index(StepKey key, uint32_t batch_row) const {
  const uint32_t word = philox(spec_.data_seed, batch_row, step_id(key), 0, kPurposeBatch).w[0];
  return static_cast<uint32_t>((uint64_t{word} * spec_.records) >> 32);
}

uint32_t Program::sequence_start(StepKey key, uint32_t sequence) const {
  const uint32_t word = philox(spec_.data_seed, sequence, step_id(key), 0, kPurposeBatch).w[0];
  return static_cast<uint32_t>((uint64_t{word} * (spec_.records - spec_.gpt.context)) >> 32);
}

// The range of a matrix's first values (PROTOCOL 3.1, 10.1); 0 for vectors.
static float initial_range(const Spec& spec, const ParameterInfo& parameter) {
  if (!parameter.decays()) return 0.0F;
  const auto inputs = static_cast<float>(parameter.cols);
  if (spec.architecture == Architecture::mlp) return square_root(6.0F / inputs);
  if (parameter.kind != ParameterKind::weight || parameter.index == spec.gpt.head_linear())
    return 0x1.1bc77ap-5F;
  const float range = square_root(3.0F / inputs);
  const bool ends_in_residual = parameter.index % 2 == 1;  // o, down
  return ends_in_residual ? range / square_root(static_cast<float>(2 * spec.gpt.blocks)) : range;
}

std::vector<float> Program::initial_theta() const {
  std::vector<float> theta(parameters_, 0.0F);
  for (uint32_t j = 0; j < parameter_list_.size(); ++j) {
    const ParameterInfo& parameter = parameter_list_[j];
    float* const values = theta.data() + parameter.offset;
    if (parameter.kind == ParameterKind::gain) std::fill_n(values, parameter.count(), 1.0F);
    if (!parameter.decays()) continue;
    const float range = initial_range(spec_, parameter);
    const uint32_t number = is_gpt() ? j : parameter.index;
    for (uint64_t e = 0; e < parameter.count(); ++e) {
      const auto block = static_cast<uint32_t>(e / 4);
      const uint32_t u = philox(spec_.init_seed, block, number, 0, kPurposeInit).w[e % 4];
      values[e] = (static_cast<float>(u >> 8) * 0x1p-23F - 1.0F) * range;
    }
  }
  return theta;
}

}  // namespace gemmine::kernels
