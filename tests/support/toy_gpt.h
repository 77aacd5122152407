// Small language models and a text to train them on.
#pragma once

#include <string>
#include <vector>

#include "kernels/model/program.h"

namespace gemmine::testing {

// Untied, RMSNorm, GELU, bytes, AdamW and a clip.
inline kernels::Spec toy_gpt() {
  kernels::Spec spec;
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {.vocabulary = 64, .width = 64, .heads = 2, .hidden = 128, .blocks = 2, .context = 32};
  spec.records = 3000;
  spec.optimiser = kernels::Optimiser::adamw;
  spec.lr = 0.004F;
  spec.beta1 = 0.9F;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.wd = 0.1F;
  spec.warmup = 2;
  spec.clip = 1;
  spec.batch = 2;
  spec.steps_per_lease = 40;
  spec.slots = 2;
  spec.rounds = 2;
  spec.init_seed = 11;
  spec.data_seed = 12;
  spec.sr_seed = 13;
  return spec;
}

// Tied, LayerNorm with shifts, SiLU, 16-bit tokens in two groups of logits, SGD, sides that fill no
// tile.
inline kernels::Spec toy_gpt_tied() {
  kernels::Spec spec = toy_gpt();
  spec.gpt = {.vocabulary = 300,
              .width = 80,
              .heads = 5,
              .hidden = 100,
              .blocks = 1,
              .context = 32,
              .norm = kernels::Norm::layer,
              .activation = kernels::Activation::silu,
              .tied = true,
              .token_bytes = 2};
  spec.optimiser = kernels::Optimiser::sgd;
  spec.lr = 0.05F;
  spec.clip = 0;
  spec.batch = 3;
  return spec;
}

// Tokens with something to learn: each follows from the one before in most places.
inline std::vector<uint8_t> toy_tokens(const kernels::Spec& spec) {
  std::vector<uint8_t> bytes;
  uint32_t token = 1;
  uint32_t noise = 7;
  for (uint32_t i = 0; i < spec.records; ++i) {
    noise = noise * 1664525 + 1013904223;
    token = (noise >> 24) < 40 ? noise >> 8 : token * 5 + 3;
    token %= spec.gpt.vocabulary;
    bytes.push_back(static_cast<uint8_t>(token));
    if (spec.gpt.token_bytes == 2) bytes.push_back(static_cast<uint8_t>(token >> 8));
  }
  return bytes;
}

}  // namespace gemmine::testing
