// Where in a step a descent is: what kind of tensor differs, and what it is made of.
#pragma once

#include "verifier/audit/block_reader.h"
#include "verifier/audit/choice.h"

namespace gemmine::verifier {

inline constexpr uint64_t kChunkFloats = kChunk / sizeof(float);

// The scales of an int8 tensor follow it.
inline bool is_scale(const kernels::Program& program, uint16_t position) {
  return position > 0 && program.tensors()[position - 1].is_int8();
}

// It is made of the weights, and so of every update before it.
inline bool shows_weights(const kernels::Program& program, uint16_t position) {
  const kernels::TensorInfo& tensor =
      program.tensors()[is_scale(program, position) ? position - 1 : position];
  return tensor.kind == kernels::TensorKind::b || reads_state_before(tensor);
}

}  // namespace gemmine::verifier
