#include "kernels/program.h"

#include <bit>
#include <cmath>
#include <string_view>

#include "kernels/check.h"
#include "kernels/numerics.h"
#include "kernels/philox.h"

namespace gemmine::kernels {
namespace {

Error refuse(std::string_view field, std::string_view rule) {
  return {Errc::invalid_argument, std::string(field) + " " + std::string(rule)};
}

Status check_sizes(const Spec& spec) {
  if (spec.widths.size() < 2 || spec.widths.size() > kLayersMax + 1)
    return refuse("widths", "must name 1 to 16 layers (2 to 17 widths)");
  uint64_t parameters = 0;
  for (size_t i = 0; i < spec.widths.size(); ++i) {
    if (spec.widths[i] == 0 || spec.widths[i] > kWidthMax)
      return refuse("widths[" + std::to_string(i) + "]", "must be in 1 … 16384");
    if (i > 0) parameters += uint64_t{spec.widths[i]} * (spec.widths[i - 1] + 1);
  }
  if (spec.widths.back() > kClassesMax) return refuse("widths", "must end in at most 256 classes");
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
  const uint32_t layers = program.layers();
  for (uint32_t l = 0; l < layers; ++l) {
    const uint64_t k = program.inputs(l);
    const uint64_t n = program.outputs(l);
    program.offsets_.push_back(program.parameters_);
    program.parameters_ += n * k + n;
    program.macs_ += spec.batch * n * k * (l > 0 ? 3 : 2);
    const uint32_t inputs = program.inputs(l);
    const uint32_t outputs = program.outputs(l);
    program.tensors_.push_back({TensorKind::x, l, spec.batch, inputs});
    program.tensors_.push_back({TensorKind::sx, l, spec.batch, 1});
    program.tensors_.push_back({TensorKind::w, l, outputs, inputs});
    program.tensors_.push_back({TensorKind::sw, l, outputs, 1});
    program.tensors_.push_back({TensorKind::b, l, outputs, 1});
  }
  for (uint32_t l = layers; l-- > 0;) {
    const uint32_t outputs = program.outputs(l);
    if (l > 0) {
      program.tensors_.push_back({TensorKind::g1, l, spec.batch, outputs});
      program.tensors_.push_back({TensorKind::s1, l, spec.batch, 1});
    }
    program.tensors_.push_back({TensorKind::g2, l, spec.batch, outputs});
    program.tensors_.push_back({TensorKind::s2, l, outputs, 1});
  }
  program.state_floats_ = program.parameters_ * (spec.optimiser == Optimiser::sgd ? 2 : 3);
  return program;
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

std::vector<float> Program::initial_theta() const {
  std::vector<float> theta(parameters_, 0.0F);
  for (uint32_t l = 0; l < layers(); ++l) {
    const float range = square_root(6.0F / static_cast<float>(inputs(l)));
    const uint64_t count = uint64_t{inputs(l)} * outputs(l);
    float* const weights = theta.data() + weight_offset(l);
    for (uint64_t e = 0; e < count; ++e) {
      const auto block = static_cast<uint32_t>(e / 4);
      const uint32_t u = philox(spec_.init_seed, block, l, 0, kPurposeInit).w[e % 4];
      weights[e] = (static_cast<float>(u >> 8) * 0x1p-23F - 1.0F) * range;
    }
  }
  return theta;
}

}  // namespace gemmine::kernels
