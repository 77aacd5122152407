// Audits: drawing them, waiting for answers, and what other auditors say (PROTOCOL 7).
//
// Time alone convicts nobody. A challenge that runs out is replayed by the pool, which needs
// nothing of the miner: wrong bits then convict, right ones are paid, and the key waits longer for
// its next lease either way (pause.h).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// A share that was just logged, or that a crash left without its verdict. grace_ms: on top of the
// time an answer has. kind is replay or spot; index is a logged share of the lease.
void begin_audit(PoolState& pool, const verifier::LeaseState& state, uint32_t index,
                 verifier::AuditKind kind, const Digest& seed, uint64_t now, uint64_t grace_ms = 0);
// required: PROTOCOL 7.2 demands it; else a second look, for which merges wait.
void begin_replay(PoolState& pool, const verifier::LeaseState& state, uint32_t index,
                  bool required);

// CHALLENGEs of a lease that wait for an answer, again, to a miner that came back.
void ask_again(PoolState& pool, const Digest& lease_id, uint64_t now);
// Nobody will answer for this lease any more: its challenges become replays.
void stop_asking(PoolState& pool, const Digest& lease_id);

// When an open lease ends: its deadline, the time that the pool was away, and the time that the
// pool's own challenges cost the miner, up to lease_ms more.
uint64_t lease_end_ms(const PoolState& pool, const verifier::LeaseState& state, uint64_t now);

void on_opening(PoolState& pool, const Peer& peer, uint32_t seq, OpeningMessage& message,
                uint64_t now);
void on_opening_stored(PoolState& pool, const OpeningStored& done, uint64_t now);
void on_audit_done(PoolState& pool, const AuditDone& done, uint64_t now);
// Answers that ran out, and audits that could not be decided and are due again.
void check_deadlines(PoolState& pool, uint64_t now);

}  // namespace gemmine::pool
