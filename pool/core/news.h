// What miners are told of their batches, as it is logged: draw, redraw, settlement, pay
// (PROTOCOL 5.2).
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// Tells the keys that they are about of the records since the last call. To be called before
// anything is decided from those records.
void tell_batches(PoolState& pool);

}  // namespace gemmine::pool
