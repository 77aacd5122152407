// How long an honest device may take, from what the pool has seen of it. Pure.
//
// An answer: the device ends the share it is at, runs the lease in question again (a thread goes
// through all of its steps), and sends what was asked for over its line; other questions to the
// same key come first. answer_ms of the job (PROTOCOL 6.1) is a grace on top.
#pragma once

#include <cstdint>
#include <deque>

#include "pool/core/share_size.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

// A device that is twice as slow as in its slowest share of late is still on time.
inline constexpr uint64_t kAnswerSlack = 2;
inline constexpr uint64_t kSlowLineBytesPerMs = 64;  // half a megabit a second

// What a slow line needs for so many bytes. At least 1.
uint64_t line_ms(uint64_t bytes);

struct Question {
  uint64_t share_macs = 0;    // of the largest share of the key's open leases
  uint64_t lease_macs = 0;    // of the lease in question
  uint64_t answer_bytes = 0;  // at most
  uint32_t waiting = 1;       // questions that the key has not answered yet, this one included
};
// Milliseconds from the question to its due time. paces: the key's last shares; without any only
// grace and line count. A pace is never slower than lease_ms a lease, which bounds it.
uint64_t answer_time_ms(const verifier::Job& job, const std::deque<Pace>& paces,
                        const Question& question);

// A device whose shares of steps_per_share take share_ms each (0: nobody knows) can end a lease in
// lease_ms, and half as much again is left for what else its owner does.
// Errors: invalid_argument, with the least lease_ms.
Status check_lease_time(const verifier::Job& job, uint64_t share_ms);

}  // namespace gemmine::pool
