// How long a key, or a neighbourhood of addresses, waits for its next lease after some that came to
// nothing. Pure.
//
// A lease that runs out held a slot of its round for lease_ms, and each is two records in the
// ledger for ever. Whoever fails again and again waits twice as long each time; work that succeeds
// ends it, and so does time.
//
// An honest machine that crashes again and again has a key that was proven. While it sends shares
// before each crash it waits seconds, and after ten in a row a quarter of an hour; when it dies
// before its first share every time, a lease time, and never more than kProvenLeases of them: its
// owner mends it and is let in on the same day. A hoarder with such a key has done a lease for it,
// and holds less than one slot in nine. Until a lease is complete again the key holds one at a
// time. A new key has no such end.
//
// Accounts have no pause: a name costs nothing, so that one would stop
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
  static constexpr uint64_t kProvenLeases = 8;  // times lease_ms: the longest of a proven key
  static constexpr uint64_t kForgetMs = 600'000;

  // A lease failed. The first failure costs first_ms, each one in a row twice as much as the one
  // before, at most 2^kDoublings times first_ms, and at most most_ms. Forgotten when it is
  // kForgetMs and four times its length past: longer than whoever waits for a lease to run out can
  // make it seem.
  void failed(uint64_t now, uint64_t first_ms, uint64_t most_ms = UINT64_MAX) {
    GEMMINE_CHECK(first_ms > 0);
    if (over(now)) failures_ = 0;
    length_ms_ = std::min(first_ms << failures_, most_ms);
    until_ms_ = std::max(until_ms_, now + length_ms_);
    failures_ = std::min(failures_ + 1, kDoublings);
  }
  // Milliseconds until there may be a lease again; 0: now.
  uint64_t left_ms(uint64_t now) const { return until_ms_ > now ? until_ms_ - now : 0; }
  // Whether the last lease failed, and that is not forgotten.
  bool failing(uint64_t now) const { return failures_ > 0 && !over(now); }
  bool over(uint64_t now) const { return now >= until_ms_ + kForgetMs + 4 * length_ms_; }

 private:
  uint64_t until_ms_ = 0;
  uint64_t length_ms_ = 0;
  uint32_t failures_ = 0;  // in a row
};

}  // namespace gemmine::pool
