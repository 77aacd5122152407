// A miner that leaves work out and is careful about it: every tensor of its step is what the
// tensors it committed to before give, and its weights move as those say, except where its theft
// says otherwise.
//
// That is the best a thief can do against audits that look at one tile, or one fibre, and what it
// is made of: only what the theft replaces is wrong, however far the lease is from the honest one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::thefts {

using verifier::Floats;

// A tensor that is about to be committed to, row-major and before it is quantised.
struct Draft {
  const kernels::Program& program;
  const kernels::TensorInfo& info;
  kernels::StepKey key;
  verifier::BlockReader& committed;  // everything in front of it
  std::span<const float> state;      // the thief's weights and moments before the step
  const Floats* before;              // the same tensor one step earlier; null in the first
  Floats values;                     // in: what its inputs give; out: what is committed to
};

struct Theft {
  std::string name;
  std::string how;
  // Of tensors. Without it every tensor is the honest engine's on the thief's weights.
  std::function<void(Draft&)> bend = {};
  // Of committed bytes, after quantising.
  std::function<void(const kernels::TensorInfo&, kernels::StepKey, Bytes&)> forge = {};
  // What the state is made into before a step.
  std::function<void(const kernels::Program&, uint32_t step, std::span<float> state)> before = {};
  // Whether a step's update is made.
  std::function<bool(uint32_t step)> updates = [](uint32_t) { return true; };
  // After an update: what the thief makes of it.
  std::function<void(const kernels::Program&, uint32_t step, std::span<const float> old,
                     std::span<float> state)>
      after = {};
  // What a share says its last state is. In: the thief's own, and the lease's start.
  std::function<void(std::span<const float> start, std::span<float> state)> claim = {};
  // Multiply-accumulates that are not done, of a whole lease of `steps` steps.
  std::function<double(const kernels::Program&, double steps)> saved_macs =
      [](const kernels::Program&, double) { return 0.0; };
  double found_min = 0;  // of audited leases, as the project promises

  bool sideways() const { return bend != nullptr || forge != nullptr; }
};

// Remembers the whole lease that it ran, so that it is asked again for nothing.
class Thief final : public kernels::Engine {
 public:
  // All outlive it.
  Thief(const kernels::Program& program, ByteView train, const Theft& theft);

  std::string_view name() const override { return "thief"; }
  // At 0 steps a lease begins, or is looked at again; elsewhere the thief goes on from its own
  // state.
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

 private:
  struct Step {
    std::vector<Bytes> bytes;    // committed, by position
    std::vector<Floats> values;  // before quantising; empty where nothing is quantised or checked
    float loss = 0;
  };
  Status run_honestly(kernels::StepKey key, std::vector<float>& next);
  void run_sideways(kernels::StepKey key, std::vector<float>& next);
  void commit(kernels::StepKey key, uint32_t position, verifier::BlockReader& reader);
  void follow(kernels::StepKey key, std::vector<float>& next) const;

  const kernels::Program& program_;
  const ByteView train_;
  const Theft& theft_;
  std::unique_ptr<kernels::Engine> engine_;
  std::vector<float> start_;
  std::vector<float> state_;  // after the steps that were run
  std::vector<Step> steps_;
  size_t standing_ = 0;
};

}  // namespace gemmine::thefts
