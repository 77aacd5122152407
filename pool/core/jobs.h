// The jobs a pool serves, and the money in their escrows (PROTOCOL 8.4).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// A job with its first θ: logs it when the ledger does not know it yet. start_roots: by θ root, of
// every round from first_round_kept (garbage.h) on. fund: the escrow of an unfinished job is filled
// up to it, by a `fund` record of what is missing; 0 adds nothing. Errors: invalid_argument (a new
// job that is an unfinished one of this pool but for its pay or its audits, names both; one that no
// pool should serve, see terms.h), those of the ledger.
Status add_job(PoolState& pool, const verifier::Work& work, const Digest& theta_root,
               std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now);

// What the escrow of a job can do, in leases.
struct EscrowReach {
  uint64_t leases_left = 0;     // of the job: neither complete nor open
  uint64_t leases_covered = 0;  // of those, by what the escrow has not promised yet
};
EscrowReach escrow_reach(const verifier::LedgerState& ledger, const Digest& job_id);

// An unfinished job of the ledger with the same name and the same work; null: there is none. `work`
// itself does not count.
const verifier::JobState* twin_of(const verifier::LedgerState& ledger, const verifier::Work& work);

// Every job is finished, and its last evaluation is over.
bool all_finished(const PoolState& pool);

}  // namespace gemmine::pool
