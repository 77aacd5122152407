// Leases and shares: handing slots out, admitting work, closing (PROTOCOL 6.2, 6.3, 8.5).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr uint32_t kNoLeaseRetryMs = 500;  // every slot is taken: they open by the second
inline constexpr uint32_t kDryRetryMs = 5'000;    // money comes back when a lease ends
inline constexpr uint32_t kManyLeasesRetryMs = 1'000;

// What miners say; every value in a message is a stranger's.
void on_get_lease(PoolState& pool, const Peer& peer, const GetLease& get, uint32_t seq,
                  uint64_t now);
void on_abandon(PoolState& pool, const Peer& peer, const Abandon& abandon, uint32_t seq,
                uint64_t now);
void on_share(PoolState& pool, const Peer& peer, const ShareMessage& message, uint32_t seq,
              uint64_t now);

// Closes leases whose time is over; those that only wait for audits stay open.
void expire(PoolState& pool, uint64_t now);

// Closes the lease as complete if nothing is missing any more.
void try_complete(PoolState& pool, const Digest& lease_id, uint64_t now);

}  // namespace gemmine::pool
