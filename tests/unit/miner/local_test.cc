// Training here: the bits of the golden file, round by round, and an end that keeps the last round.
#include "miner/local.h"

#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"

namespace gemmine::miner {
namespace {

Result<std::unique_ptr<kernels::Engine>> engine(const kernels::Program& program, ByteView records) {
  return kernels::make_engine("cpu", program, records, 1);
}

class Local : public ::testing::Test {
 protected:
  Local() : toy_("job_sgd") {}
  Result<LocalModel> train(LocalOptions options, const LocalHooks& hooks = {}) {
    options.evaluate = false;
    return train_locally({toy_.work, toy_.train, {}}, engine, options, hooks);
  }
  test::Toy toy_;
};

TEST_F(Local, ReachesTheBitsOfThePool) {
  toy_.run_round();
  std::vector<uint32_t> rounds;
  LocalHooks hooks;
  hooks.merged = [&](uint32_t round, std::span<const float> theta) {
    rounds.push_back(round);
    if (round == 1) {
      EXPECT_EQ(std::vector<float>(theta.begin(), theta.end()), toy_.theta(1));
    }
  };
  const auto model = train({.rounds = 2}, hooks);
  ASSERT_TRUE(model) << model.error().detail;
  EXPECT_EQ(rounds, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(model.value().round, 2U);
  EXPECT_FALSE(model.value().stopped);
}

TEST_F(Local, GoesOnFromWhereItStopped) {
  const auto whole = train({.rounds = 2});
  const auto first = train({.rounds = 1});
  ASSERT_TRUE(whole && first);
  const auto second =
      train({.rounds = 1, .first_round = first.value().round, .theta = first.value().theta});
  ASSERT_TRUE(second);
  EXPECT_EQ(second.value().theta, whole.value().theta);
}

TEST_F(Local, AStopKeepsTheLastRoundAndNothingOfTheNext) {
  const auto first = train({.rounds = 1});
  ASSERT_TRUE(first);
  const uint64_t in_a_round = uint64_t{toy_.job.spec.slots} * toy_.job.spec.steps_per_lease;
  uint64_t steps = 0;
  LocalHooks hooks;
  hooks.step_done = [&](uint64_t done, uint64_t) { steps = done; };
  hooks.stop = [&] { return steps == in_a_round + 1; };
  const auto stopped = train({.rounds = 2}, hooks);
  ASSERT_TRUE(stopped);
  EXPECT_TRUE(stopped.value().stopped);
  EXPECT_EQ(stopped.value().round, 1U);
  EXPECT_EQ(stopped.value().theta, first.value().theta);
  EXPECT_EQ(steps, in_a_round + 1);
}

TEST_F(Local, BeginsOnlyWithinTheJob) {
  EXPECT_DEATH((void)train({.first_round = toy_.job.spec.rounds + 1}), "first_round");
}

}  // namespace
}  // namespace gemmine::miner
