// How many steps a device's next shares should have, from how fast its last ones came. Pure.
//
// Shares that take every device about as long make audits and losses by a crash cost all of them
// alike. The times are the ledger's, so that a restarted pool decides as the one before it.
#pragma once

#include <cstdint>
#include <deque>

#include "verifier/ledger/ledger.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

// What a share should take its device, unless the pool says otherwise.
inline constexpr uint32_t kShareSeconds = 20;
inline constexpr uint32_t kShareSecondsMax = 3600;

inline constexpr size_t kPacesMax = 9;  // of a key; older ones say nothing of what it is today
// However quick the device: a crash then costs it no more than this part of a lease, and the pool
// sees four times what goes on.
inline constexpr uint32_t kSharesPerLeaseMin = 4;

// One share: the time from the record before it (of its lease) to its own, and its work.
struct Pace {
  uint64_t ms = 0;
  uint64_t macs = 0;
};
Pace pace_of(const verifier::LeaseState& lease, uint32_t index);

// Of the last kPacesMax shares of a key, oldest first.
void keep_pace(std::deque<Pace>& paces, Pace pace);

// Steps of each share of a lease of `steps`; keeps share_size_ok. target_ms 0, or no paces: the
// job's own size. The median pace decides, so that a clock that jumps or a pause changes nothing.
// However quick the device, no more than largest_share.
uint32_t choose_share_size(const std::deque<Pace>& paces, uint64_t target_ms, uint32_t steps,
                           uint64_t macs_per_step, uint32_t job_size);

// A lease has kSharesPerLeaseMin shares at least, or as few as the job's own size gives it; the
// digests of a share's steps fit one message.
uint32_t largest_share(uint32_t steps, uint32_t job_size);

}  // namespace gemmine::pool
