// The smallest job that has everything: two layers, AdamW, a warm-up.
#pragma once

#include "kernels/model/spec.h"

namespace gemmine::test {

inline kernels::Spec good_spec() {
  return {
      .widths = {12, 20, 5},
      .records = 100,
      .feature_scale = 1,
      .feature_shift = 0,
      .optimiser = kernels::Optimiser::adamw,
      .lr = 0.5F,
      .beta1 = 0.9F,
      .beta2 = 0.99F,
      .eps = 1e-8F,
      .wd = 0,
      .warmup = 4,
      .batch = 8,
      .steps_per_lease = 6,
      .slots = 3,
      .rounds = 2,
      .init_seed = 1,
      .data_seed = 2,
      .sr_seed = 3,
  };
}

}  // namespace gemmine::test
