#include "verifier/audit/replay.h"

#include <algorithm>
#include <bit>

#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

namespace {

Status check_arguments(const LeaseView& view, uint32_t index, std::span<const float> state) {
  const Lease& lease = view.lease;
  const kernels::Program& program = view.work.program();
  if (!share_size_ok(lease.steps, lease.steps_per_share))
    return Error{Errc::invalid_argument, "replay: the lease's shares are out of bounds"};
  if (lease.steps != program.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "replay: the lease has another number of steps"};
  if (index >= lease.shares())
    return Error{Errc::invalid_argument, "replay: the lease has no share " + std::to_string(index)};
  if (view.theta.size() != program.parameters())
    return Error{Errc::invalid_argument, "replay: theta has another number of parameters"};
  if (state.size() != program.state_floats())
    return Error{Errc::invalid_argument, "replay: the state has another number of floats"};
  return Ok{};
}

// Looks at a share's steps as they are run.
struct Watch {
  std::span<const Digest> claimed = {};  // the run ends with the first step that differs
  std::function<bool()> stop = {};
  Digest last = {};           // of the last step that was done; before the first, of the state
  uint32_t done = 0;          // steps
  bool differs = false;       // the last of them
  std::string no_delta = {};  // why the steps give none: θ moved beyond what a float holds
};

// After a step that is not as claimed the run is that long, and the rest of it is not filled in.
// `state` becomes the state after the share: of a large model two are gigabytes.
Result<ShareRun> run(kernels::Engine& engine, const LeaseView& view, uint32_t index,
                     std::vector<float> state, Watch& watch) {
  if (Status status = check_arguments(view, index, state); !status) return status.error();
  const kernels::Program& program = view.work.program();
  const Lease& lease = view.lease;
  ShareRun out;
  Share& share = out.share;
  share.lease_id = lease.id;
  share.index = index;
  share.first_step = lease.first_step(index);
  share.steps = lease.steps_of(index);
  share.state_before = state_root(state);
  share.macs = share.steps * program.macs_per_step();
  if (Status status = engine.load_state(state, share.first_step); !status) return status.error();
  float loss = 0;
  for (uint32_t i = 0; i < share.steps; ++i) {
    if (watch.stop && watch.stop()) return Error{Errc::busy, "replay: interrupted"};
    const uint32_t step = share.first_step + i;
    const Digest key = step_key(share.lease_id, step);
    auto result = engine.run_step({lease.round, lease.slot, step}, &key);
    if (!result) return result.error();
    kernels::StepResult& done = result.value();
    GEMMINE_CHECK(done.roots.size() == program.tensors().size());
    out.step_digests.push_back(step_digest(key, done.roots, done.loss));
    out.roots.push_back(std::move(done.roots));
    out.losses.push_back(done.loss);
    loss = loss + done.loss;
    watch.done = i + 1;
    watch.last = out.step_digests.back();
    watch.differs = i < watch.claimed.size() && watch.claimed[i] != out.step_digests.back();
    if (watch.differs) return out;
  }
  share.loss = loss / static_cast<float>(share.steps);
  share.trace_root = trace_root(share.lease_id, share.first_step, out.step_digests);
  out.state_after = std::move(state);
  if (Status status = engine.read_state(out.state_after); !status) return status.error();
  share.state_after = state_root(out.state_after);
  if (index + 1 < lease.shares()) return out;
  auto delta = make_delta(std::span<const float>(out.state_after).first(view.theta.size()),
                          view.theta, view.work.job().audit.delta_max);
  if (!delta && delta.error().code != Errc::invalid) return delta.error();
  if (!delta) {
    watch.no_delta = delta.error().detail;
    return out;
  }
  out.delta = std::move(delta.value());
  share.delta_root = kernels::blake3(out.delta);
  return out;
}

}  // namespace

Result<ShareRun> run_share(kernels::Engine& engine, const LeaseView& view, uint32_t index,
                           std::span<const float> state, uint32_t* done) {
  Watch watch;
  auto out = run(engine, view, index, {state.begin(), state.end()}, watch);
  if (done != nullptr) *done = watch.done;
  if (out && !watch.no_delta.empty()) return Error{Errc::invalid, watch.no_delta};
  return out;
}

Digest digest_of(const Finding& finding, const Share& claimed, const ShareRun& own) {
  if (finding.outcome == Outcome::valid) return {};
  if (finding.step != kNoStep && finding.step >= own.share.first_step &&
      finding.step - own.share.first_step < own.step_digests.size())
    return own.step_digests[finding.step - own.share.first_step];
  if (claimed.state_after != own.share.state_after) return own.share.state_after;
  const bool other_delta = claimed.delta_root != own.share.delta_root;
  if (other_delta && !own.share.delta_root.is_zero()) return own.share.delta_root;
  return share_id(own.share);
}

namespace {

// `state` becomes the one behind the last share, if all of them are right.
Result<LeaseFinding> replay_from(kernels::Engine& engine, const LeaseView& view,
                                 std::span<const ClaimedShare> shares, std::vector<float>& state,
                                 const std::function<bool()>& stop, ShareRun* at_fault) {
  LeaseFinding out;
  for (const ClaimedShare& claimed : shares) {
    const uint32_t first_step = view.lease.first_step(claimed.share.index);
    Watch watch{claimed.steps, stop, state_root(state)};
    auto own = run(engine, view, claimed.share.index, std::move(state), watch);
    out.index = claimed.share.index;
    if (!own && own.error().code != Errc::invalid) return own.error();
    if (!own) {
      out.finding = {Outcome::invalid, first_step + watch.done, own.error().detail};
      out.digest = watch.last;
      return out;
    }
    const ShareRun& truth = own.value();
    if (watch.differs) {
      out.finding = {Outcome::invalid, first_step + watch.done - 1, "the step's digest differs"};
      out.digest = truth.step_digests.back();
    } else {
      out.finding = compare_share(claimed.share, truth);
      out.digest = digest_of(out.finding, claimed.share, truth);
    }
    if (out.finding.outcome != Outcome::valid) {
      if (at_fault != nullptr) *at_fault = std::move(own.value());
      return out;
    }
    state = std::move(own.value().state_after);
  }
  return out;
}

}  // namespace

Result<RunAtFault> run_at_fault(kernels::Engine& engine, const LeaseView& view,
                                const ClaimedShare& claimed, const std::function<bool()>& stop) {
  RunAtFault out;
  out.state_before = start_state(view.work.program(), view.theta);
  const uint32_t index = claimed.share.index;
  if (Status status = check_arguments(view, index, out.state_before); !status)
    return status.error();
  const uint32_t first = view.lease.first_step(index);
  if (Status status = engine.load_state(out.state_before, 0); !status) return status.error();
  for (uint32_t step = 0; step < first; ++step) {
    if (stop && stop()) return Error{Errc::busy, "replay: interrupted"};
    const auto done = engine.run_step({view.lease.round, view.lease.slot, step}, nullptr);
    if (!done) return done.error();
  }
  if (Status status = engine.read_state(out.state_before); !status) return status.error();
  Watch watch{claimed.steps, stop};
  auto own = run(engine, view, index, out.state_before, watch);
  if (!own) return own.error();
  out.own = std::move(own.value());
  return out;
}

Result<LeaseFinding> replay_lease(kernels::Engine& engine, const LeaseView& view,
                                  std::span<const ClaimedShare> shares,
                                  const std::function<bool()>& stop, ShareRun* at_fault) {
  GEMMINE_CHECK(!shares.empty());
  std::vector<float> state = start_state(view.work.program(), view.theta);
  return replay_from(engine, view, shares, state, stop, at_fault);
}

Result<Divergence> find_divergence(kernels::Engine& engine, const LeaseView& view,
                                   std::span<const ClaimedShare> shares, uint32_t step,
                                   const std::function<bool()>& stop) {
  const Lease& lease = view.lease;
  GEMMINE_CHECK(shares.size() < lease.shares());
  std::vector<float> state = start_state(view.work.program(), view.theta);
  if (Status status = check_arguments(view, 0, state); !status) return status.error();
  Divergence out;
  if (!shares.empty()) {
    auto before = replay_from(engine, view, shares, state, stop, nullptr);
    if (!before) return before.error();
    out.shares = std::move(before.value());
    if (out.shares.finding.outcome != Outcome::valid) return out;
  }
  const uint32_t first = lease.first_step(static_cast<uint32_t>(shares.size()));
  if (Status status = engine.load_state(state, first); !status) return status.error();
  for (uint32_t at = first; at <= step && at < lease.steps; ++at) {
    if (stop && stop()) return Error{Errc::busy, "replay: interrupted"};
    const auto result = engine.run_step({lease.round, lease.slot, at}, nullptr);
    if (!result && result.error().code != Errc::invalid) return result.error();
    if (!result) {
      out.step = at;
      return out;
    }
  }
  return out;
}

Finding compare_share(const Share& claimed, const ShareRun& own) {
  const Share& truth = own.share;
  const auto invalid = [](uint32_t step, std::string detail) {
    return Finding{Outcome::invalid, step, std::move(detail)};
  };
  if (claimed.lease_id != truth.lease_id || claimed.index != truth.index ||
      claimed.first_step != truth.first_step || claimed.steps != truth.steps)
    return invalid(kNoStep, "the share covers other steps");
  if (claimed.state_before != truth.state_before) return invalid(kNoStep, "state_before differs");
  // With one step there is only one whose digest can be wrong.
  const uint32_t step = claimed.steps == 1 ? claimed.first_step : kNoStep;
  if (claimed.trace_root != truth.trace_root) return invalid(step, "trace_root differs");
  if (claimed.state_after != truth.state_after) return invalid(kNoStep, "state_after differs");
  if (std::bit_cast<uint32_t>(claimed.loss) != std::bit_cast<uint32_t>(truth.loss))
    return invalid(kNoStep, "loss differs");
  if (claimed.macs != truth.macs) return invalid(kNoStep, "macs differ");
  if (claimed.delta_root != truth.delta_root) return invalid(kNoStep, "delta_root differs");
  return {Outcome::valid, kNoStep, ""};
}

}  // namespace gemmine::verifier
