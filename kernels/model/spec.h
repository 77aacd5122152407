// What a job's model and training are, as numbers: PROTOCOL 3 and 9, for the gpt 10.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/numbers/choices.h"

namespace gemmine::kernels {

inline constexpr uint32_t kLayersMax = 16;
inline constexpr uint32_t kWidthMax = 16384;
inline constexpr uint32_t kByteLabelsMax = 256;  // outputs; with more a label has two bytes
inline constexpr uint32_t kBatchMax = 65536;
inline constexpr uint64_t kParametersMax = uint64_t{1} << 30;
inline constexpr uint32_t kRecordsMax = 0x7fffffff;
inline constexpr uint32_t kStepsPerLeaseMax = 65536;
inline constexpr uint32_t kSlotsMax = 4096;

enum class Architecture : uint16_t { mlp = 1, gpt = 2 };
enum class Optimiser : uint8_t { sgd = 1, adamw = 2 };

// PROTOCOL 10.1, 10.2.
struct GptShape {
  uint32_t vocabulary = 0;
  uint32_t width = 0;
  uint32_t heads = 0;
  uint32_t hidden = 0;  // F
  uint32_t blocks = 0;
  uint32_t context = 0;
  Norm norm = Norm::rms;
  Activation activation = Activation::gelu;
  bool tied = false;
  uint8_t token_bytes = 1;

  uint32_t head_width() const { return width / heads; }
  uint32_t head_linear() const { return 4 * blocks; }  // λ of the head
  uint32_t last_norm() const { return 2 * blocks; }
  uint32_t loss_groups() const { return (vocabulary + kLossGroup - 1) / kLossGroup; }
  // Number `index` of a blob of tokens; PROTOCOL 10.2.
  uint32_t token_of(ByteView tokens, uint64_t index) const {
    return token_bytes == 1 ? tokens[index]
                            : tokens[2 * index] | uint32_t{tokens[2 * index + 1]} << 8;
  }
  // Bytes that the widest block of attention is derived from, Merkle paths aside: dk with its
  // witness in another sequence, or δ; PROTOCOL 10.14.
  uint64_t opening_bytes() const {
    const uint64_t head = head_width() < 64 ? 64 : head_width();
    const uint64_t later = (4 * head + 40 * heads) * context;
    const uint64_t dot = head * width + (2 * head + 4 * heads) * context;
    return later > dot ? later : dot;
  }
  // Of a block of CQ likewise, in a step of `batch` sequences: the operands of a weight's unit, or
  // what 16 tokens get from all rows that have them; PROTOCOL 10.14.
  uint64_t norm_opening_bytes(uint32_t batch) const;
  bool operator==(const GptShape&) const = default;
};

// The same of an MLP of these widths: dY of the last layer reads all of its W, of another one 32
// rows of G1 and X and two panels of W above it; PROTOCOL 9.
uint64_t mlp_opening_bytes(const std::vector<uint32_t>& widths);

// Everything the bits of a step depend on, besides the state and the data.
struct Spec {
  Architecture architecture = Architecture::mlp;
  std::vector<uint32_t> widths;  // mlp: K_0, N_0, …, N_{L−1}; L = size − 1
  GptShape gpt = {};             // gpt
  uint32_t records = 0;          // n_train: of a gpt tokens
  float feature_scale = 0;
  float feature_shift = 0;
  Optimiser optimiser = Optimiser::sgd;
  float lr = 0;
  float beta1 = 0;  // momentum for SGD
  float beta2 = 0;
  float eps = 0;
  float wd = 0;
  uint32_t warmup = 0;       // schedule positions
  float clip = 0;            // gpt, from here to outer_momentum; PROTOCOL 10.7
  float outer_lr = 1;        // PROTOCOL 10.13
  float outer_momentum = 0;  // PROTOCOL 10.13
  uint32_t batch = 0;        // mlp: rows; gpt: sequences
  uint32_t steps_per_lease = 0;
  uint32_t slots = 0;
  uint32_t rounds = 0;
  uint64_t init_seed = 0;
  uint64_t data_seed = 0;
  uint64_t sr_seed = 0;
  bool operator==(const Spec&) const = default;
};

// What is wrong with a Spec: the field as its author knows it, and the rule it breaks.
struct SpecFault {
  std::string field;
  std::optional<size_t> element;  // of a list
  std::string rule;               // "must be in 1 … 4096"

  std::string text() const;  // "widths[2] must be in 1 … 16384"
};
// The first field that is out of its bounds (PROTOCOL 9, 10.14) or not finite; none: a Program can
// be made of it.
std::optional<SpecFault> find_fault(const Spec& spec);

}  // namespace gemmine::kernels
