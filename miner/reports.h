// What the device reports becomes facts of the state.
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

void on_report(State& state, Report report, uint64_t now_ms);
// The openings of an answer are with the connection.
void on_answer_sent(State& state, const Digest& lease_id, uint32_t index);

}  // namespace gemmine::miner
