// Handing slots out: to whom, and with which batch (PROTOCOL 6.2, 13.2).
//
// A new key, which no audit has found right yet, holds one lease at a time and no more than a
// quarter of a round's slots, and waits for proven keys that wait; so a thousand keys that never
// deliver hold up a quarter of a round for lease_ms. Where nobody has proven anything, nobody waits
// for that.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr uint32_t kNoLeaseRetryMs = 500;  // every slot is taken: they open by the second
inline constexpr uint32_t kDryRetryMs = 5'000;    // money comes back when a lease ends
inline constexpr uint32_t kManyLeasesRetryMs = 1'000;
inline constexpr uint32_t kAuditsBehindMs = 2'000;
inline constexpr uint32_t kFreshPart = 4;  // one slot in so many for new keys, and at least one
// Who was told that no slot is free, and did not ask again for so long, waits no more.
inline constexpr uint64_t kWaitingMs = 3 * uint64_t{kNoLeaseRetryMs};

void on_get_lease(PoolState& pool, const Peer& peer, const GetLease& get, uint32_t seq,
                  uint64_t now);

}  // namespace gemmine::pool
