// What the pool tells of our batches: which were drawn, how they were settled, and what they earned
// (PROTOCOL 5.2, 13).
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

// A record that is about no batch of ours is ignored.
void on_batch_record(State& state, const pool::RecordMessage& said);

}  // namespace gemmine::miner
