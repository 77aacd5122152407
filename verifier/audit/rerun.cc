#include "verifier/audit/rerun.h"

#include <algorithm>
#include <bit>

namespace gemmine::verifier {

void LeaseTrace::append(const ShareRun& run) {
  GEMMINE_CHECK(run.share.first_step == steps() && run.roots.size() == run.losses.size());
  roots.insert(roots.end(), run.roots.begin(), run.roots.end());
  losses.insert(losses.end(), run.losses.begin(), run.losses.end());
}

namespace {

uint64_t step_bytes(const kernels::Program& program) {
  return program.tensors().size() * sizeof(Digest) + sizeof(float);
}

}  // namespace

uint64_t lease_trace_bytes(const kernels::Program& program) {
  return program.spec().steps_per_lease * step_bytes(program);
}

Bytes encode_trace(const LeaseTrace& trace) {
  Writer out;
  for (uint32_t step = 0; step < trace.steps(); ++step) {
    for (const Digest& root : trace.roots[step])
      out.put_digest(root);
    out.put_f32(trace.losses[step]);
  }
  return out.take();
}

Result<LeaseTrace> decode_trace(const kernels::Program& program, ByteView bytes) {
  const uint64_t each = step_bytes(program);
  if (bytes.size() % each != 0 || bytes.size() > lease_trace_bytes(program))
    return Error{Errc::malformed, "the roots of a lease: not a number of its steps"};
  LeaseTrace out;
  Reader reader(bytes);
  for (uint64_t step = 0; step < bytes.size() / each; ++step) {
    std::vector<Digest>& roots = out.roots.emplace_back(program.tensors().size());
    for (Digest& root : roots)
      root = reader.get_digest();
    out.losses.push_back(reader.get_f32());
  }
  return out;
}

Status rerun_lease(kernels::Engine& engine, const LeaseView& view, const LeaseTrace& kept,
                   const std::function<Status(uint32_t step)>& on_step) {
  const kernels::Program& program = view.work.program();
  const Lease& lease = view.lease;
  if (lease.steps != program.spec().steps_per_lease || kept.steps() > lease.steps)
    return Error{Errc::invalid_argument, "rerun: the lease has another number of steps"};
  if (view.theta.size() != program.parameters())
    return Error{Errc::invalid_argument, "rerun: theta has another number of parameters"};
  std::vector<float> state(program.state_floats(), 0.0F);
  std::copy(view.theta.begin(), view.theta.end(), state.begin());
  if (Status status = engine.load_state(state, 0); !status) return status;
  for (uint32_t step = 0; step < kept.steps(); ++step) {
    const auto done = engine.run_step({lease.round, lease.slot, step}, nullptr);
    if (!done) return done.error();
    if (std::bit_cast<uint32_t>(done.value().loss) != std::bit_cast<uint32_t>(kept.losses[step]))
      return Error{Errc::invalid,
                   "rerun: step " + std::to_string(step) + " has another loss than the first time"};
    if (Status status = on_step(step); !status) return status;
  }
  return Ok{};
}

}  // namespace gemmine::verifier
