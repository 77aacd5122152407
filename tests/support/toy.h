// The toy jobs of the golden files (tests/vectors/toy.py): their training program and their data.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"

namespace gemmine::test {

inline kernels::Spec toy_spec(kernels::Optimiser optimiser) {
  const bool sgd = optimiser == kernels::Optimiser::sgd;
  return {
      .widths = {37, 48, 24, 10},
      .records = 200,
      .feature_scale = 1.0F / 128.0F,
      .feature_shift = -1.0F,
      .optimiser = optimiser,
      .lr = sgd ? 0.05F : 0.003F,
      .beta1 = 0.9F,
      .beta2 = sgd ? 0.0F : 0.999F,
      .eps = sgd ? 0.0F : 1e-8F,
      .wd = sgd ? 0.0005F : 0.01F,
      .warmup = 3,
      .batch = 33,
      .steps_per_lease = 5,
      .slots = 2,
      .rounds = 2,
      .init_seed = 0x0123456789ABCDEF,
      .data_seed = 0xFEDCBA9876543210,
      .sr_seed = 0xA5A5A5A55A5A5A5A,
  };
}

// As toy_spec, with labels of two bytes.
inline kernels::Spec toy_spec_of_300_classes() {
  kernels::Spec spec = toy_spec(kernels::Optimiser::sgd);
  spec.widths = {37, 24, 300};
  return spec;
}

// Records first … first + count − 1 of the toy's data: 37 features and a label each.
inline Bytes toy_records(uint64_t first, uint64_t count, uint64_t classes = 10) {
  constexpr uint64_t kFeatures = 37;
  Bytes out;
  for (uint64_t r = first; r < first + count; ++r) {
    for (uint64_t i = r * kFeatures; i < (r + 1) * kFeatures; ++i)
      out.push_back(static_cast<uint8_t>(i * i * 7 + i * 13 + (i >> 8) * 31));
    const uint64_t label = (r * 7 + r / 10) % classes;
    out.push_back(static_cast<uint8_t>(label));
    if (classes > 256) out.push_back(static_cast<uint8_t>(label >> 8));
  }
  return out;
}
inline Bytes toy_train() {
  return toy_records(0, 200);
}
inline Bytes toy_test() {
  return toy_records(200, 50);
}

}  // namespace gemmine::test
