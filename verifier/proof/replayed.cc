#include "verifier/proof/replayed.h"

#include <utility>

#include "verifier/audit/replay.h"
#include "verifier/merge/round.h"
#include "verifier/proof/decide.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

namespace {

struct Replay {
  const ToReplay& asked;
  kernels::Engine& engine;
  LeaseView view;
  const std::function<bool()>& stop;
};

Error interrupted() {
  return {Errc::busy, "replay: interrupted"};
}

// What the lease gives at a step: its digest; of a step that diverges the one before, at the start
// of a share the root of the state (PROTOCOL 6.6).
struct AtStep {
  uint32_t diverges = kNoStep;  // this one, or one before it
  Digest digest;
};
Result<AtStep> run_to_step(const Replay& at) {
  const Lease& lease = at.asked.lease;
  const uint32_t wanted = at.asked.step;
  std::vector<float> state = start_state(at.asked.work.program(), at.view.theta);
  if (Status status = at.engine.load_state(state, 0); !status) return status.error();
  AtStep out;
  for (uint32_t step = 0; step <= wanted; ++step) {
    if (at.stop && at.stop()) return interrupted();
    if (step == wanted && step % lease.steps_per_share == 0) {
      if (Status status = at.engine.read_state(state); !status) return status.error();
      out.digest = state_root(state);
    }
    const bool hashed = step + 1 >= wanted;
    const Digest key = step_key(lease.id, step);
    const auto done = at.engine.run_step({lease.round, lease.slot, step}, hashed ? &key : nullptr);
    if (!done && done.error().code != Errc::invalid) return done.error();
    if (!done) {
      out.diverges = step;
      return out;
    }
    if (hashed) out.digest = step_digest(key, done.value().roots, done.value().loss);
  }
  return out;
}

// The lease's shares up to number `index`, the last of them. Nothing: the lease diverges.
Result<std::optional<ShareRun>> run_shares(const Replay& at, uint32_t index) {
  std::vector<float> state = start_state(at.asked.work.program(), at.view.theta);
  for (uint32_t i = 0; i <= index; ++i) {
    if (at.stop && at.stop()) return interrupted();
    auto run = run_share(at.engine, at.view, i, state);
    if (!run && run.error().code == Errc::invalid) return std::optional<ShareRun>{};
    if (!run) return run.error();
    if (i == index) return std::optional(std::move(run.value()));
    state = std::move(run.value().state_after);
  }
  GEMMINE_CHECK(false);
}

std::string step_words(uint32_t step) {
  return "step " + std::to_string(step);
}

Status decide_stop(const Replay& at, ProofFinding& out) {
  const auto seen = run_to_step(at);
  if (!seen) return seen.error();
  const uint32_t diverges = seen.value().diverges;
  if (diverges == at.asked.step)
    return not_proven(out, "training diverges at " + step_words(diverges) + ", as the pool says");
  if (diverges != kNoStep)
    return proven(out, "training diverges at " + step_words(diverges) + ", and the pool says " +
                           step_words(at.asked.step));
  return proven(out, "training goes on after " + step_words(at.asked.step) +
                         ", where the pool stopped the job");
}

// "invalid" at a step, or of a share none of whose steps differs.
Status decide_wrong(const Replay& at, ProofFinding& out) {
  if (at.asked.step != kNoStep) {
    const auto seen = run_to_step(at);
    if (!seen) return seen.error();
    const uint32_t diverges = seen.value().diverges;
    if (diverges != kNoStep && diverges != at.asked.step)
      return proven(out, "the lease diverges at " + step_words(diverges) +
                             ", before the step that the pool found wrong");
    if (seen.value().digest == at.asked.digest)
      return not_proven(out, "a replay of " + step_words(at.asked.step) +
                                 " comes to the digest that the pool says");
    return proven(out, "a replay of " + step_words(at.asked.step) +
                           " comes to another digest than the pool says");
  }
  const auto run = run_shares(at, at.asked.share.index);
  if (!run) return run.error();
  if (!run.value()) return proven(out, "the lease diverges, and the pool names no step");
  const Share& own = run.value()->share;
  const bool as_said = at.asked.digest == own.state_after || at.asked.digest == own.delta_root ||
                       at.asked.digest == share_id(own);
  if (as_said) return not_proven(out, "a replay of the share comes to what the pool says");
  return proven(out, "a replay of the share comes to something else than the pool says");
}

Status decide_right(const Replay& at, ProofFinding& out) {
  const auto run = run_shares(at, at.asked.share.index);
  if (!run) return run.error();
  const std::string found = "the pool's replay found the lease valid";
  if (!run.value()) return proven(out, found + ", and it diverges");
  const Finding finding = compare_share(at.asked.share, *run.value());
  if (finding.outcome == Outcome::valid)
    return not_proven(out, "a replay comes to what the miner has signed: the lease is valid");
  return proven(out, found + ", and of its last share " + finding.detail);
}

}  // namespace

Result<ProofFinding> decide_by_replay(ProofFinding finding, kernels::Engine& engine,
                                      std::span<const float> theta,
                                      const std::function<bool()>& stop) {
  GEMMINE_CHECK(finding.replay && !finding.proven);
  const ToReplay asked = std::move(*finding.replay);
  finding.replay.reset();
  if (theta.size() != asked.work.program().parameters())
    return Error{Errc::invalid_argument, "replay: theta has another number of parameters"};
  const Replay at{asked, engine, {asked.work, asked.lease, theta}, stop};
  Status done = Ok{};
  switch (asked.said) {
    case ToReplay::Said::wrong:
      done = decide_wrong(at, finding);
      break;
    case ToReplay::Said::right:
      done = decide_right(at, finding);
      break;
    case ToReplay::Said::diverges:
      done = decide_stop(at, finding);
      break;
  }
  if (!done) return done.error();
  return finding;
}

}  // namespace gemmine::verifier
