// What a job's file says about audits, as the closed forms take it, and whether a pool may serve
// it. Pure.
#pragma once

#include "pool/core/economics.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

// Thread tickets of this job are answered by a replay: the cheaper of the two (PROTOCOL 13.4).
bool replays_threads(const verifier::Work& work);
// What the check of one answered thread costs the pool, in leases: its compute, not its line.
double thread_cost(const verifier::Work& work);
// What the answer to one thread ticket has, as a mean, and at most.
uint64_t answer_bytes_mean(const verifier::Work& work);
uint64_t answer_bytes_max(const verifier::Work& work);

PayTerms terms_of(const verifier::Work& work);

// No theft pays, and no honest device at the pool's own share size is late (answer_time.h).
// share_ms: what a share should take a device; 0: nobody knows.
// Errors: invalid_argument, naming the theft and the least replays, or the least lease_ms.
Status check_terms(const verifier::Work& work, uint64_t share_ms);

}  // namespace gemmine::pool
