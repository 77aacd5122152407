// How long a key, or a neighbourhood of addresses, waits for its next lease after some that came to
// nothing. Pure.
//
// A lease that runs out held a slot of its round for lease_ms, and each is two records in the
// ledger for ever. Whoever fails again and again waits twice as long each time; work that succeeds
// ends it, and so does time. Accounts have no pause: a name costs nothing, so that one would stop
// nobody, and anyone could give one to somebody else's. What a pause knows is not in the ledger: a
// restarted pool begins anew.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/base/check.h"

namespace gemmine::pool {

class Pause {
 public:
  static constexpr uint64_t kFirstMs = 1'000;  // who proved itself and worked, or gave it back
  static constexpr uint32_t kDoublings = 10;
  static constexpr uint64_t kForgetMs = 600'000;

  // A lease failed. The first failure costs first_ms, each one in a row twice as much as the one
  // before, at most 2^kDoublings times first_ms. Forgotten when it is kForgetMs and four times its
  // length past: longer than whoever waits for a lease to run out can make it seem.
  void failed(uint64_t now, uint64_t first_ms) {
    GEMMINE_CHECK(first_ms > 0);
    if (over(now)) failures_ = 0;
    length_ms_ = first_ms << failures_;
    until_ms_ = std::max(until_ms_, now + length_ms_);
    failures_ = std::min(failures_ + 1, kDoublings);
  }
  // Milliseconds until there may be a lease again; 0: now.
  uint64_t left_ms(uint64_t now) const { return until_ms_ > now ? until_ms_ - now : 0; }
  bool over(uint64_t now) const { return now >= until_ms_ + kForgetMs + 4 * length_ms_; }

 private:
  uint64_t until_ms_ = 0;
  uint64_t length_ms_ = 0;
  uint32_t failures_ = 0;  // in a row
};

}  // namespace gemmine::pool
