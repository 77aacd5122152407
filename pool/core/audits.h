// Audits: leases that are run again, because their coin or their batch's draw demands it or
// somebody doubts them (PROTOCOL 7, 13).
//
// A replay needs nothing of the miner: with the digests of a share's steps it ends at the first
// wrong one. Nothing is skipped when there is too much to do; pay and leases wait.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// The lease is run again, unless it was, or waits for it. It has at least one share.
void want_replay(PoolState& pool, const verifier::LeaseState& state);
// The same for what somebody said is wrong, once it is closed: before that the rest of it could be
// anything, and would be part of what was run.
void look_at_doubts(PoolState& pool, const verifier::LeaseState& state);
// Nobody has to look at the lease because of them any more: it is wrong, as they said; it was run,
// and they lied; or nobody will ever know, and it was not their fault.
enum class Doubted : uint8_t { right, lied, undecided };
void end_doubts(PoolState& pool, const Digest& lease_id, Doubted how);
// Whether the job of this lease trains on is looked at: its miner says that it diverges at `step`.
void look_at_divergence(PoolState& pool, const verifier::LeaseState& state, uint32_t step);

// Every merged lease that may have spoiled the job's weights and that nobody has looked at is run
// again (LedgerState::suspects). False: there is none.
bool run_suspects(PoolState& pool, const Digest& job_id);

// Hands what waits to the audit threads, as far as they are free.
void run_audits(PoolState& pool);
void on_audit_done(PoolState& pool, const AuditDone& done, uint64_t now);
void on_divergence_done(PoolState& pool, const DivergenceDone& done, uint64_t now);

}  // namespace gemmine::pool
