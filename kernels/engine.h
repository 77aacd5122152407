// The contract of everything that computes steps: reference, CPU, CUDA, and what wraps one of them.
// Who makes one: kernels/engines.h.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"

namespace gemmine::kernels {

struct StepResult {
  float loss = 0;
  std::vector<Digest> roots;  // one per Program::tensors(), empty without commitments
};

// One thread at a time. State stays where the engine computes; it moves only when asked for.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;

  // Replaces the state: Program::state_floats() floats (θ, then moments) after `steps_done` local
  // steps of a lease. Errors: invalid (NaN or infinity), out_of_memory.
  virtual Status load_state(std::span<const float> state, uint32_t steps_done) = 0;

  // Runs local step key.step, which must be the number of steps done so far.
  // step_key: the key of PROTOCOL 4.2, or null to skip commitments.
  // Errors: invalid when a NaN or infinity appears (PROTOCOL 2.1); the state is then unusable.
  virtual Result<StepResult> run_step(StepKey key, const Digest* step_key) = 0;

  virtual Status read_state(std::span<float> state) = 0;

  // The committed byte string (PROTOCOL 4.1) of a tensor of the step that ran last.
  virtual Result<Bytes> read_tensor(uint32_t position) = 0;
};

// PROTOCOL 3.6. Never a payment input.
struct Evaluation {
  uint64_t correct = 0;
  uint64_t records = 0;
  double loss = 0;  // mean, for people
};

}  // namespace gemmine::kernels
