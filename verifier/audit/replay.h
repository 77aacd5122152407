// Running the steps of a share, as a miner does and as an auditor repeats it (PROTOCOL 6.3, 7.5).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "kernels/engine.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

// A lease with what its shares are computed from.
struct LeaseView {
  const Work& work;
  const Lease& lease;            // of this job
  std::span<const float> theta;  // θ of the lease's round, without an outer velocity
};

struct ShareRun {
  Share share;                             // everything but the signature
  std::vector<Digest> step_digests;        // one per step
  std::vector<std::vector<Digest>> roots;  // tensor roots per step
  std::vector<float> losses;
  std::vector<float> state_after;
  Bytes delta;  // only for the lease's last share
};

// Runs share `index` of a lease from `state` (θ and moments) on an engine of the job's program and
// data. Errors: those of Engine; invalid_argument (an index, θ or state that does not fit the job);
// invalid when the lease diverged.
Result<ShareRun> run_share(kernels::Engine& engine, const LeaseView& view, uint32_t index,
                           std::span<const float> state);

// Compares a share with what its steps give. The outcome is valid or invalid, `step` the first step
// whose digest differs where that can be told (claimed step digests are optional), else kNoStep.
struct Finding {
  Outcome outcome = Outcome::undecided;
  uint32_t step = kNoStep;
  std::string detail;
};
Finding compare_share(const Share& claimed, const ShareRun& own);

}  // namespace gemmine::verifier
