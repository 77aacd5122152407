// How long an honest device may take to answer a challenge, from what the pool has seen of it.
// Pure.
//
// The honest path: the device ends the share it is at, runs the challenged share again for its
// roots, walks to the drawn steps a second time, and sends the openings over its line; other
// challenges of the same key come first. answer_ms of the job (PROTOCOL 6.1) is a grace on top.
#pragma once

#include <cstdint>
#include <deque>

#include "pool/core/share_size.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

// A device that is twice as slow as in its slowest share of late is still on time.
inline constexpr uint64_t kAnswerSlack = 2;
inline constexpr uint64_t kSlowLineBytesPerMs = 64;  // half a megabit a second

// Milliseconds that a slow line needs for one block's opening. At least 1.
uint64_t opening_line_ms(const verifier::Work& work);

// Milliseconds from the challenge to its due time. paces: the key's last shares; without any only
// grace and line count. share_macs: work of the challenged share. waiting: challenges that the key
// has not answered yet, this one included, at least 1. Never below answer_ms, nor above the larger
// of answer_ms and lease_ms: a device that needs longer cannot end a lease in lease_ms either.
uint64_t answer_time_ms(const verifier::Work& work, const std::deque<Pace>& paces,
                        uint64_t share_macs, uint32_t waiting);

// What a share of this job should take its device when the pool would like share_ms (0 stays 0):
// less where the job's lease_ms is too short for a lease's shares of that length and for one
// answer.
uint64_t share_target_ms(const verifier::Job& job, uint64_t share_ms);

}  // namespace gemmine::pool
