// Rounds: merges, evaluations, the end of a job, and what a lease that is found wrong brings about
// (PROTOCOL 8.3, 8.5, 13.6).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr uint32_t kMergeRetriesMax = 8;  // each after twice the time of the one before
inline constexpr uint64_t kMergeRetryMs = 1'000;
// A round that is whole waits so long for replays of its own leases: of a small model's they are
// there by then, and what they find wrong never gets in. A large model's are taken out later.
inline constexpr uint64_t kMergeWaitMs = 5'000;
inline constexpr uint64_t kMergeWaitPart = 10;  // and at least so little of the job's lease_ms

// The lease was found wrong, and the ledger has the verdict: an open one is closed and its slot
// free; a merged one's delta is taken out by the next merge, which is the ledger's to remember; its
// key waits, and is banned when two leases of the batch are proven wrong.
void condemn(PoolState& pool, const Digest& lease_id, uint64_t now);

// Begins the merge of the job's current round if every slot is complete, or the repair that is due.
void try_merge(PoolState& pool, const Digest& job_id, uint64_t now);
void retry_merges(PoolState& pool, uint64_t now);
void on_merge_done(PoolState& pool, const MergeDone& done, uint64_t now);
void on_evaluate_done(PoolState& pool, const EvaluateDone& done);

void announce_round(PoolState& pool, const verifier::JobState& job);
// Open leases that `which` picks, closed as cancelled.
void cancel(PoolState& pool, const std::function<bool(const verifier::LeaseState&)>& which,
            uint64_t now);
// What follows from the end of a job, merged or stopped.
void end_job(PoolState& pool, const verifier::JobState& job, uint64_t now);
// Ends the job if its last round is merged, or it was stopped, and every batch is settled.
void try_finish(PoolState& pool, const Digest& job_id, uint64_t now);

}  // namespace gemmine::pool
