#include "miner/pace.h"

namespace gemmine::miner {

namespace {

class Paced : public kernels::Engine {
 public:
  Paced(std::unique_ptr<kernels::Engine> engine, Pace& pace)
      : engine_(std::move(engine)), pace_(pace) {}

  std::string_view name() const override { return engine_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    return engine_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    if (!pace_.may_step()) return Error{Errc::busy, "interrupted between two steps"};
    const auto start = Pace::Clock::now();
    auto result = engine_->run_step(key, step_key);
    pace_.after_step(Pace::Clock::now() - start);
    return result;
  }
  Status read_state(std::span<float> state) override { return engine_->read_state(state); }
  Result<Bytes> read_tensor(uint32_t position) override { return engine_->read_tensor(position); }

 private:
  const std::unique_ptr<kernels::Engine> engine_;
  Pace& pace_;
};

}  // namespace

std::chrono::nanoseconds rest_after(std::chrono::nanoseconds work, int percent) {
  GEMMINE_CHECK(percent >= kThrottleMin && percent <= kThrottleMax);
  return work * (kThrottleMax - percent) / percent;
}

Pace::Pace(int percent) : percent_(percent) {
  GEMMINE_CHECK(percent >= kThrottleMin && percent <= kThrottleMax);
}

void Pace::challenge_waits(Clock::time_point due, uint32_t steps) {
  {
    const std::lock_guard lock(mutex_);
    due_ = waiting_ > 0 ? std::min(due_, due) : due;
    longest_ = waiting_ > 0 ? std::max(longest_, steps) : steps;
    ++waiting_;
  }
  haste_.notify_all();
}

void Pace::challenge_taken() {
  const std::lock_guard lock(mutex_);
  GEMMINE_CHECK(waiting_ > 0);
  --waiting_;
}

void Pace::end_share() {
  {
    const std::lock_guard lock(mutex_);
    end_share_ = share_;
  }
  haste_.notify_all();
}

void Pace::end_all() {
  {
    const std::lock_guard lock(mutex_);
    end_all_ = true;
  }
  haste_.notify_all();
}

void Pace::begin_share(uint32_t steps) {
  GEMMINE_CHECK(steps > 0);
  const std::lock_guard lock(mutex_);
  share_ = true;
  end_share_ = interrupted_ = gave_way_ = false;
  steps_ = steps;
  done_ = 0;
}

void Pace::begin_answer() {
  const std::lock_guard lock(mutex_);
  share_ = end_share_ = interrupted_ = gave_way_ = false;
}

bool Pace::would_be_late() const {
  // What is left of the share, the answer, and as much to spare.
  const auto left = step_ * (steps_ - std::min(done_, steps_)) + 2 * step_ * longest_;
  return Clock::now() + left > due_;
}

bool Pace::may_step() {
  const std::lock_guard lock(mutex_);
  gave_way_ = share_ && waiting_ > 0 && would_be_late();
  interrupted_ = end_all_ || (share_ && end_share_) || gave_way_;
  return !interrupted_;
}

void Pace::after_step(Clock::duration work) {
  std::unique_lock lock(mutex_);
  step_ = work;
  if (!share_) return;
  ++done_;
  haste_.wait_for(lock, rest_after(work, percent_),
                  [this] { return waiting_ > 0 || end_share_ || end_all_; });
}

bool Pace::interrupted() const {
  const std::lock_guard lock(mutex_);
  return interrupted_;
}

bool Pace::gave_way() const {
  const std::lock_guard lock(mutex_);
  return gave_way_ && !end_share_ && !end_all_;
}

std::unique_ptr<kernels::Engine> paced(std::unique_ptr<kernels::Engine> engine, Pace& pace) {
  return std::make_unique<Paced>(std::move(engine), pace);
}

}  // namespace gemmine::miner
