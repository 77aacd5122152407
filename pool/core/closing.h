// The end of a lease, which leases, audits and rounds all can bring about (PROTOCOL 7.7, 8.5).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// Logs the close with its secret and tells the miner. The lease is in the ledger and open. False
// when the ledger refuses it, which is noted; nothing changed then.
bool close_lease(PoolState& pool, const Digest& lease_id, verifier::CloseReason reason,
                 uint64_t now);

// The lease came to nothing by the miner's doing: its key waits for the next one.
void pause_key(PoolState& pool, const Digest& key, uint64_t now);

}  // namespace gemmine::pool
