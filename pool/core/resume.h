// Taking up what the pool before this one left: a crash or a stop at any record boundary.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// What a round was evaluated to, so that it is not done again. After all jobs are added.
void recall(PoolState& pool, const EvaluateDone& result);

// After that, before anything else: what is owed (audits, draws, settlements, consequences of
// verdicts, merges) is begun again. All of it follows from the ledger.
void resume(PoolState& pool, uint64_t now);

}  // namespace gemmine::pool
