// Which blobs no decision needs again (A20). Pure: the store deletes them, off the loop.
//
// Kept are a job's data, and θ and deltas of its current round, of the rounds_kept before it, and
// of every round since that of the oldest audit that is still owed. What older rounds left goes
// after each merge. A round whose blobs are gone is final: its leases are not looked at again, and
// no rollback goes back to it. GET_BLOB of a dropped blob is unknown_blob.
//
// Nothing of a kept round is dropped, not even what a rollback or a lease that came to nothing left
// over: whoever does that work again makes the same bytes, and the store deletes later than it
// writes.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// The first round of a job in `round` whose blobs have to be there. rounds_kept 0: all of them.
uint32_t first_round_kept(uint32_t round, uint32_t rounds_kept);

// After a merge, and when a pool starts: drops what is older, and moves the room's first_kept.
void drop_old_rounds(PoolState& pool, const Digest& job_id);

// A blob of this round that nothing names any more: it goes with the round.
void leave_over(PoolState& pool, const Digest& job_id, uint32_t round, const Digest& address);

}  // namespace gemmine::pool
