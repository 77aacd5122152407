// A device that its owner lets work only part of the time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "kernels/engine.h"

namespace gemmine::miner {

inline constexpr int kThrottleMin = 1;
inline constexpr int kThrottleMax = 100;  // percent: all of the time

// How long to rest after so much work. percent: kThrottleMin … kThrottleMax.
std::chrono::nanoseconds rest_after(std::chrono::nanoseconds work, int percent);

// What tests replace.
struct ThrottleClock {
  std::function<std::chrono::nanoseconds()> now;
  std::function<void(std::chrono::nanoseconds)> sleep;
};
ThrottleClock real_clock();

// The engine, resting after every step; its bits are the engine's. At 100 it is the engine itself.
std::unique_ptr<kernels::Engine> throttle(std::unique_ptr<kernels::Engine> engine, int percent,
                                          ThrottleClock clock = real_clock());

}  // namespace gemmine::miner
