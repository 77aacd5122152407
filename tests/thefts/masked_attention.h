// Attention that leaves out some pairs of positions, forward and backward: what a thief computes
// who trains on less context than the job's (PROTOCOL 10.4 and 10.6, with a mask).
#pragma once

#include <functional>

#include "tests/thefts/thief.h"

namespace gemmine::thefts {

// Whether query i looks at key j <= i of its sequence. Every query looks at itself.
using Mask = std::function<bool(uint32_t i, uint32_t j)>;

// Replaces m, l, X of o, δ and the G1 and G2 of qkv; leaves other tensors alone.
void bend_attention(Draft& draft, const Mask& mask);
// Replaces l by the sum of the weights before they are rounded to integers.
void bend_denominators(Draft& draft);

}  // namespace gemmine::thefts
