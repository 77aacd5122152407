// The gpt's parameters and tensors, in the order of PROTOCOL 10.1 and 10.10.
#include "kernels/model/program.h"

namespace gemmine::kernels {

void Program::lay_out_gpt_parameters() {
  const GptShape& gpt = spec_.gpt;
  const uint32_t d = gpt.width;
  const auto norm = [&](uint32_t index) {
    gains_.push_back(parameters_);
    add_parameter(ParameterKind::gain, index, d, 1);
    if (gpt.norm == Norm::layer) add_parameter(ParameterKind::shift, index, d, 1);
  };
  const auto linear = [&](uint32_t inputs, uint32_t outputs) {
    const auto index = static_cast<uint32_t>(linears_.size());
    linears_.push_back({inputs, outputs, static_cast<uint32_t>(parameter_list_.size()), true});
    offsets_.push_back(parameters_);
    add_parameter(ParameterKind::weight, index, outputs, inputs);
    add_parameter(ParameterKind::bias, index, outputs, 1);
  };
  add_parameter(ParameterKind::tokens, 0, gpt.vocabulary, d);
  add_parameter(ParameterKind::positions, 0, gpt.context, d);
  for (uint32_t i = 0; i < gpt.blocks; ++i) {
    norm(2 * i);
    linear(d, 3 * d);
    linear(d, d);
    norm(2 * i + 1);
    linear(d, gpt.hidden);
    linear(gpt.hidden, d);
  }
  norm(gpt.last_norm());
  const auto head = static_cast<uint32_t>(parameter_list_.size());
  linears_.push_back({d, gpt.vocabulary, gpt.tied ? 0 : head, false});
  offsets_.push_back(gpt.tied ? 0 : parameters_);
  if (!gpt.tied) add_parameter(ParameterKind::weight, gpt.head_linear(), gpt.vocabulary, d);
}

void Program::add_norm(uint32_t norm) {
  add_f32(TensorKind::gain, norm, spec_.gpt.width, 1);
  if (spec_.gpt.norm == Norm::layer) add_f32(TensorKind::shift, norm, spec_.gpt.width, 1);
}

void Program::lay_out_gpt() {
  lay_out_gpt_parameters();
  const GptShape& gpt = spec_.gpt;
  const uint32_t t = rows();
  const uint32_t d = gpt.width;
  const uint32_t head = gpt.head_width();
  for (const LinearInfo& linear : linears_)
    macs_ += uint64_t{3} * t * linear.inputs * linear.outputs;
  macs_ += uint64_t{3} * spec_.batch * gpt.blocks * d * gpt.context * (gpt.context + 1);

  using enum TensorKind;
  add_f32(residual, 0, t, d);
  for (uint32_t i = 0; i < gpt.blocks; ++i) {
    add_norm(2 * i);
    add_linear_forward(4 * i);
    add_int8(q, i, t, d, 0, Groups::row_segments, head);
    add_int8(k, i, t, d, 0, Groups::row_segments, head);
    add_int8(v, i, t, d, 0, Groups::column_runs, gpt.context);
    add_f32(row_max, i, t, gpt.heads);
    add_f32(row_sum, i, t, gpt.heads);
    add_linear_forward(4 * i + 1);
    add_f32(residual, 2 * i + 1, t, d);
    add_norm(2 * i + 1);
    add_linear_forward(4 * i + 2);
    add_linear_forward(4 * i + 3);
    add_f32(residual, 2 * i + 2, t, d);
  }
  add_norm(gpt.last_norm());
  add_linear_forward(gpt.head_linear());
  add_f32(loss_max, 0, t, gpt.loss_groups());
  add_f32(loss_sum, 0, t, gpt.loss_groups());
  add_linear_backward(gpt.head_linear());
  add_f32(d_norm, gpt.last_norm(), t, d);
  add_f32(d_residual, gpt.blocks, t, d);
  for (uint32_t i = gpt.blocks; i-- > 0;) {
    add_linear_backward(4 * i + 3);
    add_linear_backward(4 * i + 2);
    add_f32(d_norm, 2 * i + 1, t, d);
    add_linear_backward(4 * i + 1);
    add_f32(delta_dot, i, t, gpt.heads);
    add_int8(ho, i, t, d, 64 * i + 9, Groups::row_segments, head);
    add_int8(go, i, t, d, 64 * i + 10, Groups::column_runs, gpt.context);
    add_linear_backward(4 * i);
    add_f32(d_norm, 2 * i, t, d);
    add_f32(d_residual, i, t, d);
  }
  tensors_.back().in_panels = true;  // D_0, whose rows nothing but dE and dP ask for
  for (uint32_t linear = 0; linear < gpt.head_linear(); ++linear)
    add_parts(bias_parts, linear, linears_[linear].outputs);
  for (uint32_t norm = 0; norm <= gpt.last_norm(); ++norm)
    add_parts(gain_parts, norm, d);
  if (gpt.norm == Norm::layer)
    for (uint32_t norm = 0; norm <= gpt.last_norm(); ++norm)
      add_parts(shift_parts, norm, d);
  if (spec_.clip > 0) add_norm_sums();
}

// CQ of every parameter, cf.
void Program::add_norm_sums() {
  const auto parameters = static_cast<uint32_t>(parameter_list_.size());
  for (uint32_t j = 0; j < parameters; ++j)
    add_f32(TensorKind::squares, j, parameter_list_[j].units(), 1);
  add_f32(TensorKind::clip, 0, parameters + 1, 1);
}

}  // namespace gemmine::kernels
