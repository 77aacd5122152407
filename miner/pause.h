// How long something that failed is left alone: longer with every failure, until it succeeds. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gemmine::miner {

// Times are the loop's, in ms. Nothing but heal() ends a pause early.
class Pause {
 public:
  static constexpr uint64_t kFirstMs = 1'000;
  static constexpr uint64_t kCeilingMs = 600'000;

  bool over(uint64_t now_ms) const { return now_ms >= until_ms_; }
  // Begins the next pause, twice as long as the one before.
  void trouble(uint64_t now_ms) {
    until_ms_ = now_ms + length_ms();
    ++failures_;
  }
  void heal() { *this = Pause(); }
  uint32_t failures() const { return failures_; }
  uint64_t length_ms() const {
    return failures_ >= 10 ? kCeilingMs : std::min(kCeilingMs, kFirstMs << failures_);
  }

 private:
  uint64_t until_ms_ = 0;
  uint32_t failures_ = 0;
};

}  // namespace gemmine::miner
