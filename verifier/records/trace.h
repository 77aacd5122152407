// Commitments of steps, shares and states (PROTOCOL 4.2 – 4.4).
#pragma once

#include <span>

#include "kernels/base/bytes.h"

namespace gemmine::verifier {

Digest step_key(const Digest& lease_id, uint32_t step);
Digest step_digest(const Digest& step_key, std::span<const Digest> roots, float loss);
Digest share_key(const Digest& lease_id, uint32_t first_step);
Digest trace_root(const Digest& lease_id, uint32_t first_step, std::span<const Digest> steps);
Digest state_root(std::span<const float> state);

}  // namespace gemmine::verifier
