#include "verifier/audit/replay.h"

#include <algorithm>
#include <bit>

#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"
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

}  // namespace

Result<ShareRun> run_share(kernels::Engine& engine, const LeaseView& view, uint32_t index,
                           std::span<const float> state) {
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
  }
  share.loss = loss / static_cast<float>(share.steps);
  share.trace_root = trace_root(share.lease_id, share.first_step, out.step_digests);
  out.state_after.resize(program.state_floats());
  if (Status status = engine.read_state(out.state_after); !status) return status.error();
  share.state_after = state_root(out.state_after);
  if (index + 1 < lease.shares()) return out;
  auto delta =
      make_delta(std::span<const float>(out.state_after).first(view.theta.size()), view.theta);
  if (!delta) return delta.error();
  out.delta = std::move(delta.value());
  share.delta_root = kernels::blake3(out.delta);
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
  if (claimed.state_before != truth.state_before)
    return invalid(claimed.first_step, "state_before differs");
  // With one step there is only one that can be wrong.
  const uint32_t step = claimed.steps == 1 ? claimed.first_step : kNoStep;
  if (claimed.trace_root != truth.trace_root) return invalid(step, "trace_root differs");
  if (claimed.state_after != truth.state_after) return invalid(step, "state_after differs");
  if (std::bit_cast<uint32_t>(claimed.loss) != std::bit_cast<uint32_t>(truth.loss))
    return invalid(step, "loss differs");
  if (claimed.macs != truth.macs) return invalid(step, "macs differ");
  if (claimed.delta_root != truth.delta_root) return invalid(step, "delta_root differs");
  return {Outcome::valid, kNoStep, ""};
}

}  // namespace gemmine::verifier
