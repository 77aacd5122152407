#include "miner/throttle.h"

#include <thread>

namespace gemmine::miner {

namespace {

class Throttled : public kernels::Engine {
 public:
  Throttled(std::unique_ptr<kernels::Engine> engine, int percent, ThrottleClock clock)
      : engine_(std::move(engine)), percent_(percent), clock_(std::move(clock)) {}

  std::string_view name() const override { return engine_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    return engine_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    const auto start = clock_.now();
    auto result = engine_->run_step(key, step_key);
    clock_.sleep(rest_after(clock_.now() - start, percent_));
    return result;
  }
  Status read_state(std::span<float> state) override { return engine_->read_state(state); }
  Result<Bytes> read_tensor(uint32_t position) override { return engine_->read_tensor(position); }

 private:
  const std::unique_ptr<kernels::Engine> engine_;
  const int percent_;
  const ThrottleClock clock_;
};

}  // namespace

std::chrono::nanoseconds rest_after(std::chrono::nanoseconds work, int percent) {
  GEMMINE_CHECK(percent >= kThrottleMin && percent <= kThrottleMax);
  return work * (kThrottleMax - percent) / percent;
}

ThrottleClock real_clock() {
  return {[] { return std::chrono::steady_clock::now().time_since_epoch(); },
          [](std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); }};
}

std::unique_ptr<kernels::Engine> throttle(std::unique_ptr<kernels::Engine> engine, int percent,
                                          ThrottleClock clock) {
  if (percent == kThrottleMax) return engine;
  return std::make_unique<Throttled>(std::move(engine), percent, std::move(clock));
}

}  // namespace gemmine::miner
