// Multiply-accumulates of parts of a gpt's step (PROTOCOL 10.9).
#pragma once

#include "kernels/model/program.h"

namespace gemmine::thefts {

// One of the three products of linears from, from + 4, … (of every block; `from` 4·L: of the head).
inline double linear_macs(const kernels::Program& program, uint32_t from) {
  const uint32_t head = program.spec().gpt.head_linear();
  double out = 0;
  for (uint32_t i = from; i < head || i == from; i += 4) {
    const kernels::LinearInfo& linear = program.linears()[i];
    out += static_cast<double>(program.rows()) * linear.inputs * linear.outputs;
  }
  return out;
}
// One of the six products of attention in every block.
inline double attention_macs(const kernels::Program& program) {
  const kernels::GptShape& gpt = program.spec().gpt;
  return 0.5 * program.spec().batch * gpt.blocks * gpt.width * gpt.context * (gpt.context + 1.0);
}
inline double all_macs(const kernels::Program& program) {
  return static_cast<double>(program.macs_per_step());
}
inline double head_macs(const kernels::Program& program) {
  return linear_macs(program, program.spec().gpt.head_linear());
}
inline double blocks_macs(const kernels::Program& program) {  // the whole work of all blocks
  return all_macs(program) - 3 * head_macs(program);
}
// In all steps but the first.
inline double later(double steps) {
  return (steps - 1) / steps;
}

}  // namespace gemmine::thefts
