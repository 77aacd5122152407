// The trained model in the format people load: safetensors. Pure; pool/data/model_file.h reads it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/records/sheet.h"

namespace gemmine::verifier {

// What a file says about itself, next to its shape.
struct ModelOrigin {
  std::string job_name;
  Digest job_id;
  uint32_t round = 0;               // merged rounds
  std::optional<Sheet> sheet = {};  // an MLP's
};

// The name of a parameter in a file: an MLP's "layers.<l>.weight" and ".bias"; a gpt's
// "wte.weight", "wpe.weight", "h.<i>.ln_1.weight", "h.<i>.attn.qkv.weight", "h.<i>.attn.o",
// "h.<i>.ln_2", "h.<i>.mlp.up", "h.<i>.mlp.down", "ln_f", and "lm_head.weight" unless it is tied.
std::string parameter_name(const kernels::Program& program,
                           const kernels::ParameterInfo& parameter);

// θ as named f32 tensors, matrices [outputs, inputs]; the metadata says the model's shape, its
// origin and the content address of θ. theta.size() == program.parameters().
Bytes encode_safetensors(const kernels::Program& program, std::span<const float> theta,
                         const ModelOrigin& origin);

}  // namespace gemmine::verifier
