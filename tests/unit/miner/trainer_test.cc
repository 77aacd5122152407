// What the device thread makes of a device that fails: which work goes on, and which ends.
#include "miner/trainer.h"

#include <atomic>
#include <filesystem>
#include <new>
#include <thread>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/engines.h"
#include "kernels/hash/opening.h"
#include "tests/support/engine_around.h"
#include "tests/support/toy_lease.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/records/trace.h"
#include "verifier/thread/checker.h"

namespace gemmine::miner {
namespace {

using kernels::Engine;
using kernels::Program;

// Honest until a step comes at which it says `error` for good.
class FailingEngine : public test::EngineAround {
 public:
  FailingEngine(std::unique_ptr<Engine> inner, uint32_t good_steps, Error error)
      : EngineAround(std::move(inner)), good_steps_(good_steps), error_(std::move(error)) {}
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    if (good_steps_ == 0) return error_;
    --good_steps_;
    return inner().run_step(key, step_key);
  }

 private:
  uint32_t good_steps_;
  const Error error_;
};

// Counts its steps; each waits until the test lets it go on.
class WatchedEngine : public test::EngineAround {
 public:
  struct Watch {
    std::atomic<uint32_t> steps{0};
    std::atomic<bool> hold{false};
  };
  WatchedEngine(std::unique_ptr<Engine> inner, Watch& watch)
      : EngineAround(std::move(inner)), watch_(watch) {}
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    ++watch_.steps;
    while (watch_.hold)
      std::this_thread::yield();
    return inner().run_step(key, step_key);
  }

 private:
  Watch& watch_;
};

EngineFactory watched(WatchedEngine::Watch& watch) {
  return [&watch](const Program& program, ByteView records) -> Result<std::unique_ptr<Engine>> {
    auto inner = kernels::make_engine("cpu", program, records, 1);
    return {std::make_unique<WatchedEngine>(std::move(inner.value()), watch)};
  };
}

Result<std::unique_ptr<Engine>> good_engine(const Program& program, ByteView records) {
  return kernels::make_engine("cpu", program, records, 1);
}

// A miner's device with its own folder, and what it reports.
class Device {
 public:
  explicit Device(EngineFactory factory)
      : checkpoint_(Checkpoint::open(folder_.path()).value()),
        trainer_(std::move(factory), identity_, checkpoint_, {},
                 [this](Report report) { take(std::move(report)); }) {
    EXPECT_TRUE(trainer_.start());
  }

  Report run(const Workload& workload, const test::Toy& toy, uint32_t index) {
    post_share(workload, toy, index);
    return next();
  }
  void post_share(const Workload& workload, const test::Toy& toy, uint32_t index) {
    EXPECT_TRUE(checkpoint_.save_lease(toy.lease(0, 0)).ok());
    EXPECT_TRUE(trainer_.post(RunShare{&workload, toy.lease(0, 0), index, toy.thetas[0]}));
  }
  // The toy's lease as this miner's own.
  verifier::Lease own_lease(const test::Toy& toy) const {
    verifier::Lease lease = toy.lease(0, 0);
    lease.miner_key = identity_.public_key();
    verifier::sign(lease, identity_);
    return lease;
  }
  Report run_own(const Workload& workload, const test::Toy& toy, uint32_t index) {
    const verifier::Lease lease = own_lease(toy);
    EXPECT_TRUE(checkpoint_.save_lease(lease).ok());
    EXPECT_TRUE(trainer_.post(RunShare{&workload, lease, index, toy.thetas[0]}));
    return next();
  }
  Report answer(const Workload& workload, const test::Toy& toy, uint64_t challenge,
                const Digest& seed) {
    EXPECT_TRUE(
        trainer_.post(AnswerThread{&workload, own_lease(toy), challenge, seed, toy.thetas[0]}));
    return next();
  }
  Report next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !reports_.empty(); });
    Report report = std::move(reports_.front());
    reports_.pop_front();
    return report;
  }
  void end_shares() { trainer_.end_shares(); }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  std::string folder() const { return folder_.path(); }

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
  EXPECT_EQ(first_failure(Errc::invalid, false).step, 1U) << "the first that did not come out";
  EXPECT_EQ(first_failure(Errc::closed, false).step, verifier::kNoStep);
  EXPECT_EQ(first_failure(Errc::closed, false).error.detail, "planted");
}

// So that a replay stops at the first wrong step.
TEST_F(Devices, AShareComesWithTheDigestsOfItsSteps) {
  Device device(good_engine);
  const Report report = device.run(workload_, toy_, 0);
  ASSERT_TRUE(std::holds_alternative<ShareDone>(report));
  const auto& done = std::get<ShareDone>(report);
  ASSERT_EQ(done.steps.size(), done.share.steps);
  EXPECT_EQ(verifier::trace_root(done.share.lease_id, done.share.first_step, done.steps),
            done.share.trace_root);
  EXPECT_EQ(device.checkpoint().load_steps(done.share.lease_id, 0).value(), done.steps);
}

// Once proven, it is taken from disk.
TEST_F(Devices, AThreadOfALeaseThatIsDoneIsProvenAndChecks) {
  Device device(good_engine);
  const verifier::Lease lease = device.own_lease(toy_);
  std::vector<verifier::Share> shares;
  for (uint32_t index = 0; index < lease.shares(); ++index)
    shares.push_back(std::get<ShareDone>(device.run_own(workload_, toy_, index)).share);
  device.checkpoint().retire(lease.id);
  const Digest seed = kernels::blake3(as_bytes(std::string_view("seed")));
  const Report first = device.answer(workload_, toy_, 7, seed);
  ASSERT_TRUE(std::holds_alternative<ThreadAnswered>(first));
  const verifier::AnswerBody& said = std::get<ThreadAnswered>(first).answer;
  EXPECT_EQ(said.challenge, 7U);
  const auto bytes =
      read_file(device.checkpoint().answer_path(lease.id, 7), uint64_t{1} << 28).value();
  EXPECT_EQ(kernels::blake3(bytes), said.address);
  const auto found = verifier::check_thread(
      {toy_.work, lease, shares, seed, toy_.work.job().audit.thread_blocks},
      verifier::answer_of(bytes), verifier::public_data(toy_.thetas[0], toy_.train));
  EXPECT_EQ(found.outcome, verifier::ThreadOutcome::valid) << found.detail;
  const Report again = device.answer(workload_, toy_, 7, seed);
  EXPECT_EQ(std::get<ThreadAnswered>(again).answer.address, said.address);
  device.checkpoint().forget_answer(lease.id, 7);
  EXPECT_FALSE(read_file(device.checkpoint().answer_path(lease.id, 7), 1).ok());
}

TEST_F(Devices, AThreadOfALeaseThatIsGoneIsNone) {
  Device device(good_engine);
  const Report report = device.answer(workload_, toy_, 7, {});
  ASSERT_TRUE(std::holds_alternative<AnswerFailed>(report));
  EXPECT_EQ(std::get<AnswerFailed>(report).trouble, Trouble::lease);
}

TEST_F(Devices, ALostStateIsWalkedToAgain) {
  Device device(good_engine);
  const verifier::Lease lease = toy_.lease(0, 0);
  const Digest id = lease.id;
  const Report first = device.run(workload_, toy_, 0);
  ASSERT_TRUE(std::holds_alternative<ShareDone>(first));
  const Report kept = device.run(workload_, toy_, 1);
  ASSERT_TRUE(std::holds_alternative<ShareDone>(kept));
  device.checkpoint().drop_state(id, 1);
  const Report again = device.run(workload_, toy_, 1);
  ASSERT_TRUE(std::holds_alternative<ShareDone>(again));
  EXPECT_EQ(verifier::encode(std::get<ShareDone>(again).share),
            verifier::encode(std::get<ShareDone>(kept).share));
}

TEST_F(Devices, SharesEndBetweenTwoStepsWhenAsked) {
  WatchedEngine::Watch watch;
  Device device(watched(watch));
  watch.hold = true;
  device.post_share(workload_, toy_, 0);
  device.post_share(workload_, toy_, 0);
  while (watch.steps == 0)
    std::this_thread::yield();
  device.end_shares();
  watch.hold = false;
  for (int i = 0; i < 2; ++i) {
    const Report ended = device.next();
    ASSERT_TRUE(std::holds_alternative<TaskFailed>(ended));
    EXPECT_EQ(std::get<TaskFailed>(ended).trouble, Trouble::interrupted);
  }
  EXPECT_EQ(watch.steps, 1U);
  EXPECT_TRUE(std::holds_alternative<ShareDone>(device.run(workload_, toy_, 0)));
}

class HungryEngine : public FailingEngine {
 public:
  using FailingEngine::FailingEngine;
  Result<kernels::StepResult> run_step(kernels::StepKey, const Digest*) override {
    throw std::bad_alloc();
  }
};

TEST_F(Devices, AShareWithoutMemoryIsAFailureAndNotTheEnd) {
  Device device([](const Program& program, ByteView records) -> Result<std::unique_ptr<Engine>> {
    auto inner = good_engine(program, records);
    return {std::make_unique<HungryEngine>(std::move(inner.value()), 0, Error{Errc::io, ""})};
  });
  for (int i = 0; i < 2; ++i) {
    const Report failed = device.run(workload_, toy_, 0);
    ASSERT_TRUE(std::holds_alternative<TaskFailed>(failed));
    EXPECT_EQ(std::get<TaskFailed>(failed).trouble, Trouble::job);
  }
}

TEST_F(Devices, WhatCannotBeKeptIsTheDisksTrouble) {
  Device device(good_engine);
  const Report fine = device.run(workload_, toy_, 0);
  ASSERT_TRUE(std::holds_alternative<ShareDone>(fine));
  const std::string folder =
      device.folder() + "/" + to_hex(verifier::lease_id(toy_.lease(0, 0)).bytes);
  std::filesystem::remove(folder + "/state-1");
  std::filesystem::create_directories(folder + "/state-1.tmp/in the way");
  const Report failed = device.run(workload_, toy_, 0);
  ASSERT_TRUE(std::holds_alternative<TaskFailed>(failed));
  EXPECT_EQ(std::get<TaskFailed>(failed).trouble, Trouble::disk);
}

}  // namespace
}  // namespace gemmine::miner
