// Verdicts: the pool's own, and what auditors say (PROTOCOL 6.6, 8.6).
//
// Somebody who says that a lease is wrong is heard: it is run again, within a budget for who is not
// listed. Somebody who says that one is right is believed by nobody, and logged only if listed.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr size_t kAccusersPerLeaseMax = 16;
// Leases that nobody but strangers doubts and that were not run since: over it their next one waits
// for one of them. A doubt with a proof is heard always (PROTOCOL 12).
inline constexpr size_t kDoubtsPendingMax = 64;

// The pool's word on a lease; its miner hears it. A refusal by the ledger is noted.
bool log_verdict(PoolState& pool, const verifier::LeaseState& state, verifier::AuditKind kind,
                 const verifier::LeaseFinding& found, uint64_t now);

// The same on a proof, which is logged: the share that it is about is the lease's. asked: the
// challenge of a thread that it judges; null: none.
void log_conviction(PoolState& pool, const verifier::LeaseState& state,
                    const verifier::ProofFinding& proof, const Digest& address,
                    const verifier::ChallengeState* asked, uint64_t now);

void on_auditor_verdict(PoolState& pool, const Peer& peer, uint32_t seq,
                        const VerdictMessage& message, uint64_t now);

}  // namespace gemmine::pool
