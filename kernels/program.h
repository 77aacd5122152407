// A training step as data: layers, tensors in trace order, sizes, schedule (PROTOCOL 3, 4.3).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/result.h"

namespace gemmine::kernels {

inline constexpr uint32_t kLayersMax = 16;
inline constexpr uint32_t kWidthMax = 16384;
inline constexpr uint32_t kClassesMax = 256;
inline constexpr uint32_t kBatchMax = 65536;
inline constexpr uint64_t kParametersMax = uint64_t{1} << 30;
inline constexpr uint32_t kRecordsMax = 0x7fffffff;
inline constexpr uint32_t kStepsPerLeaseMax = 65536;
inline constexpr uint32_t kSlotsMax = 4096;

enum class Optimiser : uint8_t { sgd = 1, adamw = 2 };

// Everything the bits of a step depend on, besides the state and the data.
struct Spec {
  std::vector<uint32_t> widths;  // K_0, N_0, …, N_{L−1}; L = size − 1
  uint32_t records = 0;          // n_train
  float feature_scale = 0;
  float feature_shift = 0;
  Optimiser optimiser = Optimiser::sgd;
  float lr = 0;
  float beta1 = 0;  // momentum for SGD
  float beta2 = 0;
  float eps = 0;
  float wd = 0;
  uint32_t warmup = 0;  // schedule positions
  uint32_t batch = 0;
  uint32_t steps_per_lease = 0;
  uint32_t slots = 0;
  uint32_t rounds = 0;
  uint64_t init_seed = 0;
  uint64_t data_seed = 0;
  uint64_t sr_seed = 0;
  bool operator==(const Spec&) const = default;
};

// The n of PROTOCOL 3.3.
enum class TensorKind : uint8_t {
  x = 0,
  sx = 1,
  w = 2,
  sw = 3,
  b = 4,
  g1 = 5,
  s1 = 6,
  g2 = 7,
  s2 = 8
};

struct TensorInfo {
  TensorKind kind;
  uint32_t layer;
  uint32_t rows;  // f32 tensors are rows × 1
  uint32_t cols;

  bool is_int8() const {
    return kind == TensorKind::x || kind == TensorKind::w || kind == TensorKind::g1 ||
           kind == TensorKind::g2;
  }
  uint32_t tile_rows() const { return (rows + 15) / 16; }
  uint32_t tile_cols() const { return (cols + 63) / 64; }
  // Length of the committed byte string (PROTOCOL 4.1).
  uint64_t bytes() const {
    return is_int8() ? uint64_t{tile_rows()} * tile_cols() * 1024 : uint64_t{rows} * 4;
  }
  uint32_t tensor_id() const { return layer * 16 + static_cast<uint32_t>(kind); }
};

// Position of a step in its job (PROTOCOL 3.2).
struct StepKey {
  uint32_t round = 0;
  uint32_t slot = 0;
  uint32_t step = 0;  // local, 0 … steps_per_lease − 1
};

class Program {
 public:
  // Errors: invalid_argument naming the field that is out of bounds (PROTOCOL 9) or not finite.
  static Result<Program> make(const Spec& spec);

  const Spec& spec() const { return spec_; }
  uint32_t layers() const { return static_cast<uint32_t>(spec_.widths.size() - 1); }
  uint32_t inputs(uint32_t layer) const { return spec_.widths[layer]; }       // K_l
  uint32_t outputs(uint32_t layer) const { return spec_.widths[layer + 1]; }  // N_l
  uint32_t record_bytes() const { return spec_.widths[0] + 1; }

  uint64_t parameters() const { return parameters_; }                       // floats in θ
  uint64_t state_floats() const { return state_floats_; }                   // θ and moments
  uint64_t weight_offset(uint32_t layer) const { return offsets_[layer]; }  // of W_l in θ, floats
  uint64_t bias_offset(uint32_t layer) const {
    return offsets_[layer] + uint64_t{inputs(layer)} * outputs(layer);
  }
  uint64_t macs_per_step() const { return macs_; }  // PROTOCOL 3.5

  // Tensors in the order of PROTOCOL 4.3; `position` everywhere is an index into this.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Position of a tensor; the tensor must exist (no G1 in layer 0).
  uint32_t position(TensorKind kind, uint32_t layer) const;

  uint32_t step_id(StepKey key) const {
    return (key.round * spec_.slots + key.slot) * spec_.steps_per_lease + key.step;
  }
  float learning_rate(StepKey key) const;
  uint32_t record_index(StepKey key, uint32_t batch_row) const;
  std::vector<float> initial_theta() const;  // PROTOCOL 3.1

 private:
  Spec spec_;
  uint64_t parameters_ = 0;
  uint64_t state_floats_ = 0;
  uint64_t macs_ = 0;
  std::vector<uint64_t> offsets_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace gemmine::kernels
