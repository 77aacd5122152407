// What a miner keeps of the steps of a lease, and how he gets their tensors back: by running them
// once more without hashing anything (PROTOCOL 4.2, 4.3).
#pragma once

#include <functional>

#include "verifier/audit/replay.h"

namespace gemmine::verifier {

// The tensor roots and the loss of each step, as the shares of a lease were run.
struct LeaseTrace {
  std::vector<std::vector<Digest>> roots;  // by step of the lease, then by Program::tensors()
  std::vector<float> losses;

  // run: of the share that comes after those that are in here.
  void append(const ShareRun& run);
  uint32_t steps() const { return static_cast<uint32_t>(losses.size()); }
  bool operator==(const LeaseTrace&) const = default;
};

// Bytes of the trace of a whole lease, in memory or encoded: 32 a tensor and 4, a step; the most
// that a miner keeps of one. 0.2 MiB for the shipped jobs.
uint64_t lease_trace_bytes(const kernels::Program& program);

// For the miner's own disk: the steps one after another, each its roots ‖ f32 loss.
Bytes encode_trace(const LeaseTrace& trace);
// Of some of the first steps of a lease of the program. Errors: malformed.
Result<LeaseTrace> decode_trace(const kernels::Program& program, ByteView bytes);

// Runs the first kept.steps() steps of a lease again, from θ with zero moments, without roots.
// on_step is called after each, while the engine's read_tensor gives the tensors of that step; what
// it returns ends the walk unless it is ok. At the end read_state gives what the shares ended with.
// Errors: those of Engine; of on_step; invalid_argument (θ, the lease or the trace are not of this
// job); invalid when a loss is not the one that was kept, so that the device is not to be believed.
Status rerun_lease(kernels::Engine& engine, const LeaseView& view, const LeaseTrace& kept,
                   const std::function<Status(uint32_t step)>& on_step);

}  // namespace gemmine::verifier
