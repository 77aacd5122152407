#include "kernels/model/program.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::kernels {
namespace {

// The range of a matrix's first values (PROTOCOL 3.1, 10.1); 0 for vectors.
float initial_range(const Spec& spec, const ParameterInfo& parameter) {
  if (!parameter.decays()) return 0.0F;
  const auto inputs = static_cast<float>(parameter.cols);
  if (spec.architecture == Architecture::mlp) return square_root(6.0F / inputs);
  if (parameter.kind != ParameterKind::weight || parameter.index == spec.gpt.head_linear())
    return 0x1.1bc77ap-5F;
  const float range = square_root(3.0F / inputs);
  const bool ends_in_residual = parameter.index % 2 == 1;  // o, down
  return ends_in_residual ? range / square_root(static_cast<float>(2 * spec.gpt.blocks)) : range;
}

}  // namespace

Result<Program> Program::make(const Spec& spec) {
  if (const auto fault = find_fault(spec)) return Error{Errc::invalid_argument, fault->text()};
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
  constexpr const char* kSecond[] = {"R",  "D",    "gain", "shift", "N",     "Q",  "sq", "K",  "sk",
                                     "V",  "sv",   "m",    "l",     "delta", "HO", "sh", "GO", "sg",
                                     "mu", "zeta", "PB",   "PG",    "PS",    "CQ", "cf"};
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
    case TensorKind::bias_parts:
    case TensorKind::gain_parts:
    case TensorKind::shift_parts:
    case TensorKind::squares:
    case TensorKind::clip:
      return true;
    default:
      return false;
  }
}

void Program::add_parameter(ParameterKind kind, uint32_t index, uint32_t rows, uint32_t cols) {
  parameter_list_.push_back({kind, index, rows, cols, parameters_});
  parameters_ += parameter_list_.back().count();
}

void Program::add_tensor(const TensorInfo& tensor) {
  const auto kind = static_cast<size_t>(tensor.kind);
  if (positions_.size() <= kind) positions_.resize(kind + 1);
  std::vector<uint32_t>& of_kind = positions_[kind];
  if (of_kind.size() <= tensor.layer) of_kind.resize(tensor.layer + size_t{1}, kNowhere);
  of_kind[tensor.layer] = static_cast<uint32_t>(tensors_.size());
  tensors_.push_back(tensor);
}

void Program::add_int8(TensorKind kind, uint32_t layer, uint32_t rows, uint32_t cols, uint32_t id,
                       Groups groups, uint32_t span) {
  add_tensor({kind, layer, rows, cols, groups, span, id});
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
  add_tensor({.kind = kind, .layer = layer, .rows = rows, .cols = cols});
}

void Program::add_parts(TensorKind kind, uint32_t layer, uint32_t cols) {
  const auto runs = static_cast<uint32_t>((rows() + kColumnSumRun - 1) / kColumnSumRun);
  add_f32(kind, layer, runs, cols);
  tensors_.back().in_panels = true;
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

uint32_t Program::position(TensorKind kind, uint32_t layer) const {
  const auto of_kind = static_cast<size_t>(kind);
  GEMMINE_CHECK(of_kind < positions_.size() && layer < positions_[of_kind].size());
  GEMMINE_CHECK(positions_[of_kind][layer] != kNowhere);
  return positions_[of_kind][layer];
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
  GEMMINE_CHECK(is_gpt() && sequence < spec_.batch);
  const uint32_t word = philox(spec_.data_seed, sequence, step_id(key), 0, kPurposeBatch).w[0];
  return static_cast<uint32_t>((uint64_t{word} * (spec_.records - spec_.gpt.context)) >> 32);
}

std::vector<float> Program::initial_theta() const {
  std::vector<float> theta(parameters_);
  initial_theta(0, theta);
  return theta;
}

void Program::initial_theta(uint64_t first, std::span<float> out) const {
  GEMMINE_CHECK(first + out.size() <= parameters_);
  for (uint32_t j = 0; j < parameter_list_.size(); ++j) {
    const ParameterInfo& parameter = parameter_list_[j];
    const uint64_t begin = std::max(first, parameter.offset);
    const uint64_t end = std::min(first + out.size(), parameter.offset + parameter.count());
    if (begin >= end) continue;
    const std::span<float> values = out.subspan(begin - first, end - begin);
    std::ranges::fill(values, parameter.kind == ParameterKind::gain ? 1.0F : 0.0F);
    if (!parameter.decays()) continue;
    const float range = initial_range(spec_, parameter);
    const uint32_t number = is_gpt() ? j : parameter.index;
    for (uint64_t i = 0; i < values.size(); ++i) {
      const uint64_t e = begin - parameter.offset + i;
      const auto block = static_cast<uint32_t>(e / 4);
      const uint32_t u = philox(spec_.init_seed, block, number, 0, kPurposeInit).w[e % 4];
      values[i] = (static_cast<float>(u >> 8) * 0x1p-23F - 1.0F) * range;
    }
  }
}

}  // namespace gemmine::kernels
