// Taking up what the pool before this one left: a crash or a stop at any record boundary.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// After all jobs are added, before anything else. Open leases get the time that the pool was away,
// and what is owed (audits, second looks, consequences of verdicts, merges) is begun again.
void resume(PoolState& pool, uint64_t now);

}  // namespace gemmine::pool
