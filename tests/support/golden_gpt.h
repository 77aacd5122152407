// The toy language models of the golden files (tests/vectors/toy_gpt.py): their training programs
// and their data.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"

namespace gemmine::test {

inline kernels::Spec golden_gpt(bool tied) {
  using kernels::Optimiser;
  kernels::Spec spec = {
      .architecture = kernels::Architecture::gpt,
      .widths = {},
      .gpt =
          {.vocabulary = 200, .width = 64, .heads = 2, .hidden = 112, .blocks = 2, .context = 160},
      .records = 3000,
      .optimiser = tied ? Optimiser::sgd : Optimiser::adamw,
      .lr = tied ? 0.05F : 0.004F,
      .beta1 = 0.9F,
      .beta2 = tied ? 0.0F : 0.99F,
      .eps = tied ? 0.0F : 1e-8F,
      .wd = tied ? 0.0005F : 0.1F,
      .warmup = 2,
      .clip = tied ? 0.5F : 0.75F,
      .outer_lr = tied ? 0.7F : 1.0F,
      .outer_momentum = tied ? 0.9F : 0.0F,
      .batch = tied ? 3U : 2U,
      .steps_per_lease = 3,
      .slots = 2,
      .rounds = 2,
      .init_seed = 0x0123456789ABCDEF,
      .data_seed = 0xFEDCBA9876543210,
      .sr_seed = 0xA5A5A5A55A5A5A5A,
  };
  if (tied)
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
  return spec;
}

// Tokens first … first + count − 1 of the models' texts.
inline Bytes golden_text(const kernels::GptShape& shape, uint64_t first, uint64_t count) {
  Bytes out;
  for (uint64_t i = first; i < first + count; ++i) {
    const uint64_t token = (i * i * 7 + (i >> 4) * 31) % shape.vocabulary;
    out.push_back(static_cast<uint8_t>(token));
    if (shape.token_bytes == 2) out.push_back(static_cast<uint8_t>(token >> 8));
  }
  return out;
}
inline Bytes golden_train(const kernels::Spec& spec) {
  return golden_text(spec.gpt, 0, 3000);
}
inline Bytes golden_test(const kernels::Spec& spec) {
  return golden_text(spec.gpt, 3000, 700);
}

}  // namespace gemmine::test
