// Which blobs no decision needs again (A20). Pure: the store deletes them, off the loop.
//
// Kept are a job's data, and θ and deltas of its current round, of the rounds_kept before it, and
// of every round since that of the oldest lease that is not settled, or waits to be run again. What
// older rounds left goes after each merge, and with it the digests of their leases' steps. A round
// whose blobs are gone is final: its leases are not looked at again. GET_BLOB of a dropped blob is
// unknown_blob.
//
// The delta of a lease that came to nothing goes with its lease: keys and shares cost nothing, so
// what they leave may not add up. Blobs go in turn with deltas that come in (DropBlobs), since
// another lease may name the same bytes. What a kill left between a file and its record goes at the
// next start.
#pragma once

#include <set>

#include "pool/core/state.h"

namespace gemmine::pool {

// The first round of a job in `round` whose blobs have to be there. rounds_kept 0: all of them.
uint32_t first_round_kept(uint32_t round, uint32_t rounds_kept);

// After a merge, and when a pool starts: drops what is older, and moves the room's first_kept.
void drop_old_rounds(PoolState& pool, const Digest& job_id);

// What the jobs, the rounds kept, open leases and uploads under way need, and every proof that is
// logged. No other blob is needed.
std::set<Digest> needed_blobs(const PoolState& pool);

// The delta of a lease that came to nothing, whole or half sent: it goes now if nothing needs it.
void drop_unneeded(PoolState& pool, const Digest& address);

}  // namespace gemmine::pool
