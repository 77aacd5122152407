// What a thief would leave out of a gpt's step, each with what it saves and how many tensors of the
// step become wrong, counted by hand.
#pragma once

#include <vector>

#include "tests/thefts/thief.h"

namespace gemmine::thefts {

// For sequences of `context` positions.
std::vector<Theft> all_thefts(uint32_t context);

}  // namespace gemmine::thefts
