// From a replay that differs to a proof: what the pool asks a miner about a lease of his that it
// found wrong (PROTOCOL 12.11). Pure.
//
// The ledger has the questions, the answers and their signatures; a worker finds the next step from
// them, and always the same one, so that a restarted pool goes on where it was. While a descent is
// under way its lease stays open, if it is, and its batch unsettled. A miner who does not answer,
// or not what he committed to, ends it: he loses what a wrong lease costs, and is not banned.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// After the pool's verdict that the lease is wrong: the step that the replay came to.
void begin_descent(PoolState& pool, const Digest& lease_id, const DescentNext& next, uint64_t now);
void on_descent_done(PoolState& pool, const DescentDone& done, uint64_t now);

// The answer to one of its challenges is logged, or was not given in time.
void on_descent_answer(PoolState& pool, const Digest& lease_id);
void on_descent_silence(PoolState& pool, const Digest& lease_id);

// Tries again what the pool's own disk or device could not do.
void look_at_descents(PoolState& pool, uint64_t now);
// At a start: whether one is under way for a lease that was found wrong; then it goes on.
bool resume_descent(PoolState& pool, const verifier::LeaseState& state);

// Whether one is under way for a lease of the batch.
bool descends(const PoolState& pool, const verifier::BatchId& batch);

}  // namespace gemmine::pool
