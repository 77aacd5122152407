// Words of a pool about a lease that nothing smaller than a replay of it contradicts: what a
// verdict found, and where a job is said to diverge (PROTOCOL 12.9).
#pragma once

#include <functional>
#include <span>

#include "kernels/engine.h"
#include "verifier/proof/proof.h"

namespace gemmine::verifier {

// Runs the lease as far as finding.replay says and decides: `finding` with `proven` and `words`.
// engine: of the job's program and training data. theta: of the lease's round. stop is asked before
// every step, or share. Errors: those of Engine; busy when stop said so.
Result<ProofFinding> decide_by_replay(ProofFinding finding, kernels::Engine& engine,
                                      std::span<const float> theta,
                                      const std::function<bool()>& stop);

}  // namespace gemmine::verifier
