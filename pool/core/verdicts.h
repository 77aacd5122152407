// Verdicts: the pool's own, those of auditors, and what a wrong share costs (PROTOCOL 6.6, 8.4).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr size_t kVerdictsPerShareMax = 16;  // by auditors: without a list, by anyone

// The pool's word on a logged share; the miner hears it. A refusal by the ledger is noted.
void log_verdict(PoolState& pool, const ShareKey& key, verifier::AuditKind kind,
                 const verifier::Finding& finding, uint64_t now);

void on_auditor_verdict(PoolState& pool, const Peer& peer, uint32_t seq,
                        const VerdictMessage& message, uint64_t now);

// Somebody says that this share is wrong. Believed only after the pool has run it itself.
void doubt(PoolState& pool, const verifier::LeaseState& state, uint32_t index);

}  // namespace gemmine::pool
