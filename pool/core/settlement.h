// Settlement: which of a batch's leases are audited is drawn after its last one, and it is paid
// when all of them are (PROTOCOL 13).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// Of a key, over it no lease is granted: what a pool owes verdicts on, and a miner has to keep.
inline constexpr size_t kUnsettledBatchesMax = 256;
static_assert(kUnsettledBatchesMax < kOpenBatchesMax);

// Of the jobs that are served.
std::vector<verifier::BatchId> unsettled_batches(const PoolState& pool, const Digest& key);

void on_settle(PoolState& pool, const Peer& peer, const Settle& settle, uint32_t seq);

// Draws the batch if it is closed, begins its audits, redraws when a ticket is silent, and settles
// it when every ticket has its verdict: as far as that is possible now.
void look_at_batch(PoolState& pool, const verifier::BatchId& id, uint64_t now);
// Every batch that is not settled.
void look_at_batches(PoolState& pool, uint64_t now);

}  // namespace gemmine::pool
