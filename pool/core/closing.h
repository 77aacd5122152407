// The end of a lease, which leases, audits and rounds all can bring about (PROTOCOL 7.7, 8.5).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// Logs the close with its secret and tells the miner. The lease is in the ledger and open. False
// when the ledger refuses it; nothing changed then.
bool close_lease(PoolState& pool, verifier::CloseBody body, uint64_t now);

uint64_t lease_ms_of(const verifier::Lease& lease);  // from its issue to its deadline

// A lease came to nothing by the miner's doing: its key waits for the next one, and a new key's
// neighbours do, too. first_ms: what the first such lease in a row costs (pause.h).
void pause_key(PoolState& pool, const verifier::Lease& lease, uint64_t first_ms, uint64_t now);

// Milliseconds until the key may have its next lease; 0: now.
uint64_t pause_left_ms(const PoolState& pool, const Digest& key, const std::string& neighbourhood,
                       uint64_t now);

}  // namespace gemmine::pool
