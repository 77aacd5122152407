#include "kernels/cuda/host/device_state.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/host/device_matrix.h"

namespace gemmine::kernels::cuda {

Status DeviceState::load(std::span<const float> state, uint32_t steps_done) {
  loaded_ = false;
  if (state.size() != program_.state_floats() || steps_done > program_.spec().steps_per_lease)
    return Error{Errc::invalid_argument, "state: wrong number of floats or steps"};
  if (!std::all_of(state.begin(), state.end(), [](float value) { return std::isfinite(value); }))
    return Error{Errc::invalid, "NaN or infinity in the state"};
  session_.upload(floats_, state.data(), state.size_bytes());
  if (Status status = session_.status(); !status) return status;
  steps_done_ = steps_done;
  power1_ = 1;
  power2_ = 1;
  for (uint32_t i = 0; i < steps_done; ++i) {
    power1_ = power1_ * program_.spec().beta1;
    power2_ = power2_ * program_.spec().beta2;
  }
  loaded_ = true;
  return Ok{};
}

Status DeviceState::read(std::span<float> state) const {
  if (!loaded_ || state.size() != program_.state_floats())
    return Error{Errc::invalid_argument, "no state, or another number of floats"};
  session_.download(state.data(), floats_, state.size_bytes());
  return session_.status();
}

Status DeviceState::begin_step(StepKey key) {
  const Spec& spec = program_.spec();
  if (!loaded_ || key.step != steps_done_ || key.step >= spec.steps_per_lease ||
      key.round >= spec.rounds || key.slot >= spec.slots)
    return Error{Errc::invalid_argument, "no state, or not the next step"};
  loaded_ = false;
  power1_ = power1_ * spec.beta1;
  power2_ = power2_ * spec.beta2;
  return Ok{};
}

void DeviceState::finish_step() {
  ++steps_done_;
  loaded_ = true;
}

void DeviceState::queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                               StepKey key, uint32_t* flag, uint32_t code) {
  const Spec& spec = program_.spec();
  GEMMINE_CHECK(count > 0 && offset + count <= program_.parameters());
  float* const w = floats_ + offset;
  float* const m = w + program_.parameters();
  const Grid grid{pieces(count, kFlatThreads)};
  const float lr = program_.learning_rate(key);
  if (spec.optimiser == Optimiser::sgd) {
    session_.run<kernel::UpdateSgd>(grid, w, m, gradient, count, decays ? 1U : 0U, lr, spec.beta1,
                                    spec.wd, flag, code);
    return;
  }
  session_.run<kernel::UpdateAdamw>(grid, w, m, m + program_.parameters(), gradient, count,
                                    decays ? 1U : 0U, lr, spec.beta1, spec.beta2, spec.eps, spec.wd,
                                    1.0F / (1.0F - power1_), 1.0F / (1.0F - power2_), flag, code);
}

}  // namespace gemmine::kernels::cuda
