// Philox4x32-7 (PROTOCOL 1.5): random words that are a function of a seed and four counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/hd.h"

namespace gemmine::kernels {

inline constexpr uint32_t kPhiloxMul0 = 0xD2511F53;
inline constexpr uint32_t kPhiloxMul1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxKey0 = 0x9E3779B9;
inline constexpr uint32_t kPhiloxKey1 = 0xBB67AE85;
inline constexpr int kPhiloxRounds = 7;

// The last counter word says what the numbers are for.
inline constexpr uint32_t kPurposeInit = 0x494E;        // PROTOCOL 3.1
inline constexpr uint32_t kPurposeBatch = 0x4241;       // PROTOCOL 3.2
inline constexpr uint32_t kPurposeStochastic = 0x5352;  // PROTOCOL 2.5

struct PhiloxWords {
  uint32_t w[4];
};

GEMMINE_HD static inline PhiloxWords philox(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2,
                                            uint32_t c3) {
  auto k0 = static_cast<uint32_t>(seed);
  auto k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t{kPhiloxMul0} * c0;
    const uint64_t p1 = uint64_t{kPhiloxMul1} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += kPhiloxKey0;
    k1 += kPhiloxKey1;
  }
  return {{c0, c1, c2, c3}};
}

// The stochastic bits of a tensor in one step; PROTOCOL 2.5.
struct StochasticKey {
  uint64_t seed;  // sr_seed
  uint32_t tensor_id;
  uint32_t step_id;
};
inline constexpr uint32_t kStochasticGroup = 128;  // columns that 16 counters serve
inline constexpr uint32_t kStochasticLanes = 16;

// u of element (row, col) of a tensor of `cols` columns: 0 … 65535.
GEMMINE_HD static inline uint32_t stochastic_u16(const StochasticKey& key, uint32_t row,
                                                 uint32_t col, uint32_t cols) {
  const uint32_t groups = (cols + kStochasticGroup - 1) / kStochasticGroup;
  const uint32_t group = col / kStochasticGroup;
  const uint32_t half = col % kStochasticGroup / 64;
  const uint32_t word = col % 64 / kStochasticLanes;
  const uint32_t lane = col % kStochasticLanes;
  const PhiloxWords words = philox(key.seed, (row * groups + group) * kStochasticLanes + lane,
                                   key.tensor_id, key.step_id, kPurposeStochastic);
  return half == 0 ? words.w[word] & 0xffffU : words.w[word] >> 16;
}

}  // namespace gemmine::kernels
