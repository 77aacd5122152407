#include "verifier/thread/scale.h"

#include <algorithm>
#include <cmath>

namespace gemmine::verifier {

using kernels::Program;

namespace {

constexpr float kEpsMin = 1e-12F;

}  // namespace

bool ScaleBound::exists(const Program& program) {
  const kernels::Spec& spec = program.spec();
  return spec.optimiser == kernels::Optimiser::adamw && spec.beta2 > 0 && spec.eps >= kEpsMin;
}

Result<ScaleBound> ScaleBound::make(const Program& program, const Fibre& fibre,
                                    const ReadFloats& theta) {
  const kernels::ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  ScaleBound out;
  std::vector<float> row(parameter.cols);
  for (uint32_t r = fibre.rows.first; r < fibre.rows.end(); ++r) {
    auto read = theta(parameter.offset + uint64_t{r} * parameter.cols, row);
    if (!read) return read.error();
    float most = 0;
    for (const float w : row)
      most = std::max(most, std::fabs(w));
    out.first_.push_back(most);
  }
  out.bounds_ = out.first_;
  return out;
}

void ScaleBound::advance(const Program& program, kernels::StepKey key) {
  const kernels::Spec& spec = program.spec();
  const double b1 = spec.beta1;
  const double b2 = spec.beta2;
  const double lr = program.learning_rate(key);
  p1_ = p1_ * b1;
  p2_ = p2_ * b2;
  const double u =
      (1 - b1) / std::sqrt(1 - b2) * std::sqrt(decay_sum_) * std::sqrt(1 - p2_) / (1 - p1_);
  for (double& bound : bounds_)
    bound = bound * (1 + lr * spec.wd) + lr * u;
  decay_sum_ = decay_sum_ * (b1 * b1 / b2) + 1;
}

bool ScaleBound::exceeded(uint32_t row, float scale) const {
  return 63.0 * scale > bounds_[row] * kSlack;
}

Result<bool> needs_witness(const Program& program, const Fibre& fibre, kernels::StepKey key,
                           uint32_t row, const ReadFloats& theta) {
  if (!ScaleBound::exists(program)) return true;
  auto bound =
      ScaleBound::make(program, {fibre.parameter, {fibre.rows.first + row, 1}, fibre.cols}, theta);
  if (!bound) return bound.error();
  for (uint32_t step = 0; step < key.step; ++step)
    bound.value().advance(program, {key.round, key.slot, step});
  return bound.value().is_loose(0);
}

}  // namespace gemmine::verifier
