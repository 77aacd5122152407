// An engine that is two: every step runs in both, and the first bit they differ in is an error.
#pragma once

#include <memory>
#include <vector>

#include "kernels/engine.h"

namespace gemmine::kernels {

// Compares outcome, loss, roots and the whole state after each step. Differences are Errc::invalid,
// saying what differs; the engine is then unusable.
class CheckEngine final : public Engine {
 public:
  CheckEngine(const Program& program, std::unique_ptr<Engine> believed,
              std::unique_ptr<Engine> checked);

  std::string_view name() const override { return name_; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

 private:
  Error differ(std::string_view what) const;
  Status compare_results(const StepResult& believed, const StepResult& checked) const;
  Status compare_states();

  Program program_;
  std::unique_ptr<Engine> believed_;
  std::unique_ptr<Engine> checked_;
  std::string name_;
  std::vector<float> believed_state_;
  std::vector<float> checked_state_;
  bool differed_ = false;
};

}  // namespace gemmine::kernels
