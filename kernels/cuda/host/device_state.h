// θ and moments on a GPU, and where in its lease a state is.
#pragma once

#include <span>

#include "kernels/cuda/host/device_session.h"
#include "kernels/engine.h"

namespace gemmine::kernels::cuda {

// Usable from load() on, and not between begin_step() and finish_step(): a step that fails leaves
// no state.
class DeviceState {
 public:
  DeviceState(DeviceSession& session, const Program& program)
      : session_(session), program_(program) {}

  void allocate() { floats_ = session_.allocate<float>(program_.state_floats()); }
  // Errors: invalid (NaN or infinity), invalid_argument; those of the session. Also of read().
  Status load(std::span<const float> state, uint32_t steps_done);
  Status read(std::span<float> state) const;

  // Errors: invalid_argument when it is not this step's turn.
  Status begin_step(StepKey key);
  void finish_step();

  float* theta(uint64_t offset) const { return floats_ + offset; }
  // Parameters offset … offset + count − 1 by their gradient; PROTOCOL 3.4.
  void queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                    StepKey key, uint32_t* flag, uint32_t code);

 private:
  DeviceSession& session_;
  const Program& program_;
  float* floats_ = nullptr;
  uint32_t steps_done_ = 0;
  float power1_ = 1;  // p1 and p2 of PROTOCOL 3.4
  float power2_ = 1;
  bool loaded_ = false;
};

}  // namespace gemmine::kernels::cuda
