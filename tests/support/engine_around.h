// An engine that does as another one does: tests change the part that they are about.
#pragma once

#include <memory>
#include <utility>

#include "kernels/engine.h"

namespace gemmine::test {

class EngineAround : public kernels::Engine {
 public:
  explicit EngineAround(std::unique_ptr<kernels::Engine> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return inner_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    return inner_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    return inner_->run_step(key, step_key);
  }
  Status read_state(std::span<float> state) override { return inner_->read_state(state); }
  Result<Bytes> read_tensor(uint32_t position) override { return inner_->read_tensor(position); }

 protected:
  kernels::Engine& inner() { return *inner_; }

 private:
  const std::unique_ptr<kernels::Engine> inner_;
};

}  // namespace gemmine::test
