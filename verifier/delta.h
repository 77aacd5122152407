// Deltas and their merge in integers: any arrival order gives the same bits (PROTOCOL 6.4, 8.3).
#pragma once

#include <span>
#include <vector>

#include "kernels/bytes.h"

namespace gemmine::verifier {

inline constexpr size_t kDeltaBlock = 128;

inline uint64_t delta_bytes(uint64_t parameters) {
  return (parameters + kDeltaBlock - 1) / kDeltaBlock + parameters;
}

// Errors: invalid when the lease has diverged (|d| ≥ 256, NaN, infinity).
Result<Bytes> make_delta(std::span<const float> theta_local, std::span<const float> theta_global);
// Length and ranges. Errors: malformed.
Status check_delta(ByteView delta, uint64_t parameters);

class Merge {
 public:
  explicit Merge(uint64_t parameters) : sums_(parameters, 0) {}
  // Any order. Errors: malformed; invalid_argument beyond kSlotsMax deltas.
  Status add(ByteView delta);
  // θ of the next round. `slots` is S. Errors: invalid when a value is not finite;
  // invalid_argument when not exactly S deltas were added.
  Result<std::vector<float>> finish(std::span<const float> theta, uint32_t slots) const;

 private:
  std::vector<int64_t> sums_;
  uint32_t added_ = 0;
};

}  // namespace gemmine::verifier
