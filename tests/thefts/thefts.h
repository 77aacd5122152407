// What a thief would leave out of a gpt's lease, each with what it saves.
#pragma once

#include <vector>

#include "tests/thefts/thief.h"

namespace gemmine::thefts {

// Of audited leases, the part in which some thefts have to be found, and the part in which every
// theft that saves a fifth of a lease or more.
inline constexpr double kPromised = 0.99;
inline constexpr double kWorthwhile = 0.4;
inline constexpr double kWorthwhileSaving = 0.2;

// Tensors of a step are not what they should be, and the weights move as these say. For sequences
// of `context` positions.
std::vector<Theft> step_thefts(uint32_t context);
// One tensor is forged so that what follows from it costs nothing.
std::vector<Theft> forged_tensors(const kernels::Program& program);
std::vector<Theft> forged_mlp_tensors(const kernels::Program& program);
// The norm and its factor.
std::vector<Theft> clip_thefts(const kernels::Program& program);
// Every step is right for its weights, but these are not what the steps before made of them. Also
// of an MLP.
std::vector<Theft> weight_thefts(const kernels::Program& program);

}  // namespace gemmine::thefts
