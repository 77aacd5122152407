// Commitments of steps, shares and states (PROTOCOL 4.2 – 4.4).
#pragma once

#include <span>

#include "kernels/base/bytes.h"

namespace gemmine::verifier {

// The key that a step's tensors are hashed under; `step` counts from the lease's start (4.2).
Digest step_key(const Digest& lease_id, uint32_t step);
// A step's commitment. roots: of its tensors, in the order of Program::tensors() (4.3).
Digest step_digest(const Digest& step_key, std::span<const Digest> roots, float loss);
// The key that a share's step digests are hashed under.
Digest share_key(const Digest& lease_id, uint32_t first_step);
// A share's commitment to its steps: the root over their digests, in order (4.3).
Digest trace_root(const Digest& lease_id, uint32_t first_step, std::span<const Digest> steps);
// Of θ and the optimiser's moments, Program::state_floats() in all (4.4).
Digest state_root(std::span<const float> state);

}  // namespace gemmine::verifier
