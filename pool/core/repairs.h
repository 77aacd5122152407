// Weights that make training diverge: what was merged into them is looked at, what is wrong is
// taken out and the round begins again, and only where nothing was wrong the job stops
// (PROTOCOL 8.3).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// A replay has seen that training diverges at this step of this lease.
void training_diverges(PoolState& pool, const verifier::LeaseState& state, uint32_t step);
// What is to be done about it, as far as audits have come: nothing yet, a repair, or the end of the
// job.
void look_at_diverged_job(PoolState& pool, const Digest& job_id, uint64_t now);

// The deltas of leases that were found wrong are taken out of the current round's weights.
void begin_repair(PoolState& pool, const Digest& job_id);
void finish_repair(PoolState& pool, const MergeDone& done, uint64_t now);

}  // namespace gemmine::pool
