// How long a key waits for its next lease after some that came to nothing. Pure.
//
// A machine that fails (a full disk, a lost state, no answer to what it is asked) would otherwise
// take one lease after another, and each is two records in the ledger for ever. What a pause knows
// is not in the ledger: a restarted pool begins anew.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/base/check.h"

namespace gemmine::pool {

class Pause {
 public:
  static constexpr uint64_t kFirstMs = 1'000;      // doubled by each failure in a row
  static constexpr uint64_t kCeilingMs = 600'000;  // 10 minutes
  static constexpr uint64_t kForgetMs = 600'000;   // a pause this long past is forgotten
  static_assert(kFirstMs > 0 && kFirstMs <= kCeilingMs);

  // A lease was given back, ran out, or left a challenge unanswered.
  void failed(uint64_t now) {
    if (now >= until_ms_ + kForgetMs) failures_ = 0;
    const uint64_t wait = failures_ >= kDoublings ? kCeilingMs : kFirstMs << failures_;
    until_ms_ = std::max(until_ms_, now + std::min(wait, kCeilingMs));
    if (failures_ < kDoublings) ++failures_;
    GEMMINE_CHECK(until_ms_ > now);
  }
  // Milliseconds until the key may have a lease again; 0: now.
  uint64_t left_ms(uint64_t now) const { return until_ms_ > now ? until_ms_ - now : 0; }

 private:
  static constexpr uint32_t kDoublings = 10;  // 1 s << 10 is over the ceiling
  static_assert(kFirstMs << kDoublings >= kCeilingMs);

  uint64_t until_ms_ = 0;
  uint32_t failures_ = 0;  // in a row, at most kDoublings
};

}  // namespace gemmine::pool
