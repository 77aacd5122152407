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
// invalid when the lease diverged. done: how many steps were, also when it fails; may be null.
Result<ShareRun> run_share(kernels::Engine& engine, const LeaseView& view, uint32_t index,
                           std::span<const float> state, uint32_t* done = nullptr);

// Compares a share with what its steps give. The outcome is valid or invalid, `step` the first step
// whose digest differs where that can be told (claimed step digests are optional), else kNoStep.
struct Finding {
  Outcome outcome = Outcome::undecided;
  uint32_t step = kNoStep;
  std::string detail;
};
Finding compare_share(const Share& claimed, const ShareRun& own);

// What the run has in place of what was found wrong: of the finding's step, if it names one; else
// the state or the delta behind the share, where they differ; else the id of the share as the run
// would have it (PROTOCOL 6.6). Zero when nothing is wrong.
Digest digest_of(const Finding& finding, const Share& claimed, const ShareRun& own);

// What running a lease again shows, share by share.
struct LeaseFinding {
  Finding finding;     // its step counts from the lease's start
  uint32_t index = 0;  // of the share at fault; when none is, of the last one that was run
  // Where the finding is invalid: what its step really gives; the state or the delta behind the
  // share when no step differs; where the lease diverges, the last digest before.
  Digest digest;
};
struct ClaimedShare {
  Share share;
  std::vector<Digest> steps;  // digests that hash to its trace_root; empty: not known
};
// Runs a lease again as it is claimed, up to the first share, and where step digests are known the
// first step, that is not what it gives. shares: the lease's first, at least one. stop is asked
// before every step. at_fault, if not null: our run of the share that is not as claimed, up to its
// first step that differs, right after which the engine stands; empty where none is, or where the
// lease diverges. Errors: as run_share, but never invalid; busy when stop said so.
Result<LeaseFinding> replay_lease(kernels::Engine& engine, const LeaseView& view,
                                  std::span<const ClaimedShare> shares,
                                  const std::function<bool()>& stop, ShareRun* at_fault = nullptr);

// That run once more, when it is known which share it is; no other share is looked at. Errors: as
// replay_lease; invalid when the lease diverges.
struct RunAtFault {
  ShareRun own;
  std::vector<float> state_before;
};
Result<RunAtFault> run_at_fault(kernels::Engine& engine, const LeaseView& view,
                                const ClaimedShare& claimed, const std::function<bool()>& stop);

// Whether training diverges where a miner says that it does.
struct Divergence {
  // Of the shares that came before, as replay_lease: nobody who sent other bits is heard.
  LeaseFinding shares{.finding = {Outcome::valid, kNoStep, {}}, .index = 0, .digest = {}};
  uint32_t step = kNoStep;  // the first one that diverges; none up to the last one looked at
};
// Runs a lease again as it is claimed, as replay_lease does, and then on to `step`, which is behind
// the last share that is given; there may be none. Errors: as replay_lease.
Result<Divergence> find_divergence(kernels::Engine& engine, const LeaseView& view,
                                   std::span<const ClaimedShare> shares, uint32_t step,
                                   const std::function<bool()>& stop);

}  // namespace gemmine::verifier
