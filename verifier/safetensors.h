// The trained model in the format people load: safetensors. Pure.
#pragma once

#include <span>
#include <string_view>

#include "kernels/bytes.h"
#include "kernels/program.h"

namespace gemmine::verifier {

// θ as named f32 tensors "layers.<l>.weight" [N, K] and "layers.<l>.bias" [N]; the metadata names
// the job, its id and the content address of θ. theta.size() == program.parameters().
Bytes encode_safetensors(const kernels::Program& program, std::span<const float> theta,
                         std::string_view job_name, const Digest& job_id);

}  // namespace gemmine::verifier
