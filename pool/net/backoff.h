// How long to wait before connecting again: full-jitter exponential, 1 s to 60 s. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gemmine::pool {

// Full jitter (uniform over [0, ceiling]) spreads a crowd that lost its pool at one instant best.
class Backoff {
 public:
  static constexpr uint64_t kFirstMs = 1'000;
  static constexpr uint64_t kCeilingMs = 60'000;
  // A connection that lasted this long was a good one; a shorter one counts as one more failure,
  // so that a pool which accepts and then drops everybody is not hammered.
  static constexpr uint64_t kHealthyMs = 60'000;

  // Upper end of the next delay.
  uint64_t ceiling_ms() const {
    return failures_ >= 6 ? kCeilingMs : std::min(kCeilingMs, kFirstMs << failures_);
  }
  // Milliseconds to wait; counts one failure. `random` is uniform over all of uint64_t.
  uint64_t next_ms(uint64_t random) {
    // The top 32 bits scaled by multiplication: no modulo bias worth naming.
    const uint64_t delay = ((random >> 32) * (ceiling_ms() + 1)) >> 32;
    if (failures_ < 6) ++failures_;
    return delay;
  }
  // Call when a connection that had opened ends, before next_ms.
  void on_connection_ended(uint64_t lasted_ms) {
    if (lasted_ms >= kHealthyMs) failures_ = 0;
  }

 private:
  unsigned failures_ = 0;  // stops at 6: 1 s << 6 is over the ceiling
};

}  // namespace gemmine::pool
