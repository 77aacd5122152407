// What a device does between two steps of a share: it rests as its owner wishes, makes haste when a
// challenge waits, gives way to it, or ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "kernels/engine.h"

namespace gemmine::miner {

inline constexpr int kThrottleMin = 1;
inline constexpr int kThrottleMax = 100;  // percent: all of the time

// How long to rest after so much work. percent: kThrottleMin … kThrottleMax.
std::chrono::nanoseconds rest_after(std::chrono::nanoseconds work, int percent);

// Shared by the device's thread, which works, and the loop's, which asks for haste.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Pace(int percent);  // kThrottleMin … kThrottleMax

  // Any thread. One challenge more has to be answered by then: steps rest no longer, and the share
  // in hand gives way if the answer, of so many steps, could be late otherwise.
  void challenge_waits(Clock::time_point due, uint32_t steps);
  void challenge_taken();  // one that waited does so no more
  void end_share();        // the share in hand ends before its next step
  void end_all();          // so does everything, for good

  // The device's thread, around a share of so many steps, or around an answer, which is never
  // throttled.
  void begin_share(uint32_t steps);
  void begin_answer();
  // Before a step. False: what is in hand ends here.
  bool may_step();
  // After a step that took so long. Rests.
  void after_step(Clock::duration work);
  // Has the work in hand ended by may_step()? And was that to make way for a challenge?
  bool interrupted() const;
  bool gave_way() const;

 private:
  // Would the answer be late if the share in hand came to its end first?
  bool would_be_late() const;

  const int percent_;
  mutable std::mutex mutex_;
  std::condition_variable haste_;
  uint32_t waiting_ = 0;   // challenges
  Clock::time_point due_;  // of the most urgent of them
  uint32_t longest_ = 0;   // steps of the longest of them
  bool share_ = false;     // a share is in hand, and not an answer
  bool end_share_ = false;
  bool end_all_ = false;
  bool interrupted_ = false;
  bool gave_way_ = false;
  uint32_t steps_ = 0;  // of the share
  uint32_t done_ = 0;
  Clock::duration step_ = {};  // what a step takes
};

// The engine, paced; its bits are the engine's. A step that may not begin gives Errc::busy.
std::unique_ptr<kernels::Engine> paced(std::unique_ptr<kernels::Engine> engine, Pace& pace);

}  // namespace gemmine::miner
