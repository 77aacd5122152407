// Rounds: merges, evaluations, the end of a job, and going back when a lease turns out to be wrong
// (PROTOCOL 8.3, 8.5).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr uint32_t kMergeRetriesMax = 8;  // each after twice the time of the one before
inline constexpr uint64_t kMergeRetryMs = 1'000;

// A share of this lease is wrong: closes the lease, bans its key, takes its unvested pay, looks at
// its other work again, and rolls back what was built on the lease. The ledger has the verdict.
void condemn(PoolState& pool, const Digest& lease_id, uint64_t now);

// Replays a complete lease whole; no merge of its job happens before the answer is there.
void second_look(PoolState& pool, const Digest& lease_id);

// Begins the merge of the job's current round if every slot is complete and no second look is owed.
void try_merge(PoolState& pool, const Digest& job_id);
void retry_merges(PoolState& pool, uint64_t now);
void on_merge_done(PoolState& pool, const MergeDone& done, uint64_t now);
void on_evaluate_done(PoolState& pool, const EvaluateDone& done);

// Has one of its shares a verdict that says it is wrong?
bool found_wrong(const verifier::LeaseState& state);

}  // namespace gemmine::pool
