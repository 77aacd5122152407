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

// Stopped before any step whatever, a training goes on to the same bits.
TEST_F(Local, GoesOnFromACheckpointOfAnyStep) {
  const auto whole = train({.rounds = 2});
  ASSERT_TRUE(whole);
  const uint64_t steps = uint64_t{2} * toy_.job.spec.slots * toy_.job.spec.steps_per_lease;
  for (uint64_t stop_at = 0; stop_at < steps; ++stop_at) {
    uint64_t done = 0;
    LocalCheckpoint kept;
    LocalHooks hooks;
    hooks.step_done = [&](uint64_t now, uint64_t) { done = now; };
    hooks.stop = [&] { return done == stop_at; };
    hooks.checkpoint = [&](const LocalCheckpoint& at) { kept = at; };
    const auto stopped = train({.rounds = 2}, hooks);
    ASSERT_TRUE(stopped && stopped.value().stopped) << stop_at;
    const auto read = decode_local_checkpoint(encode_local_checkpoint(kept), toy_.work);
    ASSERT_TRUE(read) << stop_at << ": " << read.error().detail;
    const auto rest = train({.rounds = 2, .resume = &read.value()});
    ASSERT_TRUE(rest) << stop_at;
    EXPECT_EQ(rest.value().theta, whole.value().theta) << stop_at;
    EXPECT_EQ(rest.value().round, 2U);
  }
}

TEST_F(Local, ACheckpointOfAnotherJobOrADamagedOneIsRefused) {
  LocalCheckpoint kept;
  LocalHooks hooks;
  hooks.wants_checkpoint = [](bool round_ended) { return !round_ended; };
  hooks.checkpoint = [&](const LocalCheckpoint& at) { kept = at; };
  ASSERT_TRUE(train({.rounds = 1}, hooks));
  EXPECT_EQ(kept.deltas.size(), 1U);  // of two slots
  const Bytes good = encode_local_checkpoint(kept);
  ASSERT_TRUE(decode_local_checkpoint(good, toy_.work));
  for (size_t size = 0; size < good.size(); size += 97)
    EXPECT_EQ(decode_local_checkpoint(ByteView(good).first(size), toy_.work).error().code,
              Errc::malformed);
  for (size_t at = 0; at < good.size(); at += 101) {
    Bytes bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(decode_local_checkpoint(bad, toy_.work)) << at;
  }
  EXPECT_EQ(decode_local_checkpoint(good, test::Toy("job_adamw").work).error().code, Errc::invalid);
  kept.published.pop_back();
  EXPECT_FALSE(decode_local_checkpoint(encode_local_checkpoint(kept), toy_.work));
}

TEST_F(Local, BeginsOnlyWithinTheJob) {
  EXPECT_DEATH((void)train({.first_round = toy_.job.spec.rounds + 1}), "first_round");
}

}  // namespace
}  // namespace gemmine::miner
