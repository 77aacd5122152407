// What the device reports becomes facts of the state.
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

void on_report(State& state, Report report, uint64_t now_ms);
}  // namespace gemmine::miner
