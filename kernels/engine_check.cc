#include "kernels/engine_check.h"

#include <bit>
#include <cstring>

namespace gemmine::kernels {
namespace {

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

}  // namespace

CheckEngine::CheckEngine(const Program& program, std::unique_ptr<Engine> believed,
                         std::unique_ptr<Engine> checked)
    : program_(program),
      believed_(std::move(believed)),
      checked_(std::move(checked)),
      name_("check:" + std::string(checked_->name())),
      believed_state_(program.state_floats()),
      checked_state_(program.state_floats()) {}

Error CheckEngine::differ(std::string_view what) const {
  return {Errc::invalid, name_ + ": " + std::string(checked_->name()) + " and " +
                             std::string(believed_->name()) + " differ in " + std::string(what)};
}

Status CheckEngine::load_state(std::span<const float> state, uint32_t steps_done) {
  const Status believed = believed_->load_state(state, steps_done);
  Status checked = checked_->load_state(state, steps_done);
  differed_ =
      believed.ok() != checked.ok() || (!believed && believed.error().code != checked.error().code);
  if (differed_) return differ("whether the state is usable");
  return checked;
}

Result<StepResult> CheckEngine::run_step(StepKey key, const Digest* step_key) {
  if (differed_) return differ("an earlier step");
  const Result<StepResult> believed = believed_->run_step(key, step_key);
  Result<StepResult> checked = checked_->run_step(key, step_key);
  differed_ = true;
  if (believed.ok() != checked.ok() || (!believed && believed.error().code != checked.error().code))
    return differ("whether the step is valid");
  if (believed) {
    if (Status status = compare_results(believed.value(), checked.value()); !status)
      return status.error();
    if (Status status = compare_states(); !status) return status.error();
  }
  differed_ = false;
  return checked;
}

Status CheckEngine::compare_results(const StepResult& believed, const StepResult& checked) const {
  if (believed.roots.size() != checked.roots.size()) return differ("the number of roots");
  for (size_t i = 0; i < believed.roots.size(); ++i) {
    const TensorInfo& tensor = program_.tensors()[i];
    if (believed.roots[i] != checked.roots[i])
      return differ("the root of " + std::string(tensor_name(tensor.kind)) + " of layer " +
                    std::to_string(tensor.layer));
  }
  if (!same_bits(believed.loss, checked.loss)) return differ("the loss");
  return Ok{};
}

Status CheckEngine::compare_states() {
  if (Status status = believed_->read_state(believed_state_); !status) return status.error();
  if (Status status = checked_->read_state(checked_state_); !status) return status.error();
  for (size_t i = 0; i < believed_state_.size(); ++i) {
    if (!same_bits(believed_state_[i], checked_state_[i]))
      return differ("float " + std::to_string(i) + " of the state");
  }
  return Ok{};
}

Status CheckEngine::read_state(std::span<float> state) {
  return checked_->read_state(state);
}

Result<Bytes> CheckEngine::read_tensor(uint32_t position) {
  const Result<Bytes> believed = believed_->read_tensor(position);
  Result<Bytes> checked = checked_->read_tensor(position);
  if (believed.ok() != checked.ok() || (believed && believed.value() != checked.value()))
    return differ("the bytes of tensor " + std::to_string(position));
  return checked;
}

}  // namespace gemmine::kernels
