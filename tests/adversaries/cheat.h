// Engines that lie: each keeps the interface and breaks one promise, for a fraction of its steps;
// and two that are honest and fail, as devices do.
#pragma once

#include <memory>
#include <string_view>

#include "kernels/engine.h"

namespace gemmine::adversaries {

enum class Cheat {
  none,
  wrong_gradient,   // the update is not the gradient's: weights drift by a little after the step
  skipped_step,     // the step is not done: the one before is sold again
  random_matrices,  // int8 operands are random bytes, committed and opened consistently
  wrong_loss,       // everything is done, the loss is prettier
  stale_state,      // starts from other weights than the lease's
  ghost_steps,      // a share's first step is done, and in the others all weights are zero: free
  lost_device,      // the device goes in the middle of a share
  full_device,      // the device has no memory for a lease's state
};

// Errors: invalid_argument, listing the names.
Result<Cheat> parse_cheat(std::string_view name);

struct CheatPlan {
  Cheat cheat = Cheat::none;
  double fraction = 1.0;       // of the steps, drawn by step
  uint32_t honest_leases = 0;  // played straight first, to build a record
};

std::unique_ptr<kernels::Engine> make_cheating_engine(std::unique_ptr<kernels::Engine> inner,
                                                      const kernels::Program& program,
                                                      const CheatPlan& plan);

}  // namespace gemmine::adversaries
