// What the device thread makes of a device that fails: which work goes on, and which ends.
#include "miner/trainer.h"

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "tests/support/toy_lease.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::miner {
namespace {

using kernels::Engine;
using kernels::Program;

// Honest until a step comes at which it says `error` for good.
class FailingEngine : public Engine {
 public:
  FailingEngine(std::unique_ptr<Engine> inner, uint32_t good_steps, Error error)
      : inner_(std::move(inner)), good_steps_(good_steps), error_(std::move(error)) {}
  std::string_view name() const override { return inner_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    return inner_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    if (good_steps_ == 0) return error_;
    --good_steps_;
    return inner_->run_step(key, step_key);
  }
  Status read_state(std::span<float> state) override { return inner_->read_state(state); }
  Result<Bytes> read_tensor(uint32_t position) override { return inner_->read_tensor(position); }

 private:
  const std::unique_ptr<Engine> inner_;
  uint32_t good_steps_;
  const Error error_;
};

Result<std::unique_ptr<Engine>> good_engine(const Program& program, ByteView records) {
  return kernels::make_engine("cpu", program, records, 1);
}

// A miner's device with its own folder, and what it reports.
class Device {
 public:
  explicit Device(EngineFactory factory)
      : checkpoint_(Checkpoint::open(folder_.path()).value()),
        trainer_(std::move(factory), identity_, checkpoint_, {},
                 [this](Report report) { take(std::move(report)); }) {}

  Report run(const Workload& workload, const test::Toy& toy, uint32_t index) {
    EXPECT_TRUE(checkpoint_.save_lease(toy.lease(0, 0)).ok());
    EXPECT_TRUE(trainer_.post(RunShare{&workload, toy.lease(0, 0), index, toy.thetas[0]}));
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !reports_.empty(); });
    Report report = std::move(reports_.front());
    reports_.pop_front();
    return report;
  }

 private:
  void take(Report report) {
    {
      const std::lock_guard lock(mutex_);
      reports_.push_back(std::move(report));
    }
    came_.notify_one();
  }

  pool::TempDirectory folder_;
  const verifier::Identity identity_ = verifier::Identity::from_seed(Digest{});
  const Checkpoint checkpoint_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<Report> reports_;
  Trainer trainer_;  // last: joined first
};

class Devices : public ::testing::Test {
 protected:
  Devices()
      : toy_("job_sgd"),
        workload_{toy_.work, toy_.train,
                  kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                            kernels::ChunkSource::of_bytes(toy_.train))} {}

  // What a device says of its first share when making its engine, or a later step, gives `error`.
  TaskFailed first_failure(Errc error, bool when_made) {
    Device device([error, when_made](const Program& program,
                                     ByteView records) -> Result<std::unique_ptr<Engine>> {
      if (when_made) return Error{error, "planted"};
      auto inner = good_engine(program, records);
      return {
          std::make_unique<FailingEngine>(std::move(inner.value()), 1, Error{error, "planted"})};
    });
    const Report report = device.run(workload_, toy_, 0);
    EXPECT_TRUE(std::holds_alternative<TaskFailed>(report));
    return std::get<TaskFailed>(report);
  }

  test::Toy toy_;
  Workload workload_;
};

TEST_F(Devices, OneLostInTheMiddleOfAShareStopsAndTheOtherGoesOn) {
  Device lost([](const Program& program, ByteView records) -> Result<std::unique_ptr<Engine>> {
    auto inner = good_engine(program, records);
    return {std::make_unique<FailingEngine>(std::move(inner.value()), 3,
                                            Error{Errc::closed, "the device is gone"})};
  });
  Device other(good_engine);
  // Shares of two steps each: the second ends after its first step.
  EXPECT_TRUE(std::holds_alternative<ShareDone>(lost.run(workload_, toy_, 0)));
  const Report end = lost.run(workload_, toy_, 1);
  ASSERT_TRUE(std::holds_alternative<TaskFailed>(end));
  EXPECT_EQ(std::get<TaskFailed>(end).trouble, Trouble::lost);
  EXPECT_EQ(std::get<TaskFailed>(end).index, 1U);
  for (uint32_t index = 0; index < toy_.lease(0, 0).shares(); ++index)
    EXPECT_TRUE(std::holds_alternative<ShareDone>(other.run(workload_, toy_, index))) << index;
}

TEST_F(Devices, AFailureSaysWhatEnds) {
  EXPECT_EQ(first_failure(Errc::out_of_memory, true).trouble, Trouble::job);
  EXPECT_EQ(first_failure(Errc::unsupported, true).trouble, Trouble::job);
  EXPECT_EQ(first_failure(Errc::invalid, true).trouble, Trouble::wrong_numbers);
  EXPECT_EQ(first_failure(Errc::closed, true).trouble, Trouble::lost);
  EXPECT_EQ(first_failure(Errc::out_of_memory, false).trouble, Trouble::job);
  EXPECT_EQ(first_failure(Errc::closed, false).trouble, Trouble::lost);
  EXPECT_EQ(first_failure(Errc::invalid, false).trouble, Trouble::diverged);
  EXPECT_EQ(first_failure(Errc::closed, false).error.detail, "planted");
}

}  // namespace
}  // namespace gemmine::miner
