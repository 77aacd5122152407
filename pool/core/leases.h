// Shares of leases, and how leases end: given back, run out, complete (PROTOCOL 6.2, 6.3, 8.5).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// What miners say; every value in a message is a stranger's.
void on_abandon(PoolState& pool, const Peer& peer, const Abandon& abandon, uint32_t seq,
                uint64_t now);
void on_share(PoolState& pool, const Peer& peer, const ShareMessage& message, uint32_t seq,
              uint64_t now);

// Closes leases whose time is over; those that only wait for audits stay open.
void expire(PoolState& pool, uint64_t now);

// Closes the lease as complete if nothing is missing any more; begins the audit that its own coin
// demands before.
void try_complete(PoolState& pool, const Digest& lease_id, uint64_t now);

}  // namespace gemmine::pool
