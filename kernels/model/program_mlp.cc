// The MLP's parameters and tensors, in the order of PROTOCOL 3.1 and 4.3.
#include "kernels/model/program.h"

namespace gemmine::kernels {

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
  for (uint32_t l = 0; l < layers(); ++l)
    add_parts(TensorKind::bias_parts, l, outputs(l));
}

}  // namespace gemmine::kernels
