// What is asked of miners, and what time and silence cost: never a key, without a wrong bit.
#include "pool/core/audits.h"

#include <gtest/gtest.h>

#include "pool/core/answer_time.h"
#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

// Spot checks only: no replay is drawn, and nobody is on probation.
FakeSetup without_replays() {
  FakeSetup out = setup(true);
  out.change = [](verifier::Job& job) {
    job.audit.replay_ppm = 0;
    job.audit.spot_ppm = 1'000'000;
    job.audit.spot_blocks = 3;
    job.audit.probation_shares = 0;
  };
  return out;
}

// The second share with another loss, of which no block knows.
void spoil(Scene& s) {
  s.work.shares[1].loss += 1;
  verifier::sign(s.work.shares[1], miner());
}

void answer(Scene& s, const Challenge& challenge) {
  const auto blocks = s.fake.open(s.lease, s.work, challenge.index, challenge.seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    s.fake.send_opening(kMiner, challenge.lease_id, challenge.index, i, blocks[i]);
}

uint64_t pause_ms(const Scene& s) {
  const auto& pauses = s.fake.pool->state().pauses;
  const auto found = pauses.find(miner().public_key());
  return found == pauses.end() ? 0 : found->second.left_ms(s.fake.now);
}

TEST(Challenges, AreAnsweredWithOpenings) {
  Scene s(setup(true));
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  answer(s, *challenge);
  EXPECT_TRUE(s.state().shares[1].spotted);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
  EXPECT_EQ(pause_ms(s), 0U);
}

TEST(Challenges, LeftUnansweredAreRunByThePoolAndPaid) {
  Scene s(setup(true));
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  s.fake.tick(challenge->answer_ms - 1);
  EXPECT_FALSE(s.state().closed);
  s.fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  s.fake.tick(1);
  EXPECT_TRUE(s.state().shares[1].replayed);
  EXPECT_EQ(s.state().shares[1].pool_verdict, Outcome::valid);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
  EXPECT_FALSE(s.banned());
  // The ledger says why the pool looked itself. The key waits for its next lease.
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 3U);
  EXPECT_EQ(pause_ms(s), Pause::kFirstMs);
  EXPECT_FALSE(s.fake.get_lease(kMiner));
  EXPECT_EQ(s.fake.no_lease()->retry_after_ms, Pause::kFirstMs);
  s.fake.tick(Pause::kFirstMs);
  EXPECT_TRUE(s.fake.get_lease(kMiner));
}

TEST(Challenges, LeftUnansweredSaveNoThief) {
  Scene s(setup(true));
  spoil(s);
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  s.fake.tick(challenge->answer_ms);
  EXPECT_EQ(s.state().closed, CloseReason::rejected);
  EXPECT_EQ(s.state().shares[1].pool_verdict, Outcome::invalid);
  EXPECT_TRUE(s.banned());
  EXPECT_EQ(s.fake.error(), WireError::banned);
}

TEST(Challenges, CannotBeOutlastedByComingAndGoing) {
  Scene s(setup(true));
  spoil(s);
  ASSERT_TRUE(s.second_share());
  for (int i = 0; i < 200 && !s.banned(); ++i) {
    s.fake.pool->on_close(kMiner);
    s.fake.tick(500);
    const auto refused = s.fake.join(kMiner, miner());
    EXPECT_EQ(refused, s.banned() ? std::optional(WireError::banned) : std::nullopt);
  }
  EXPECT_TRUE(s.banned());
  EXPECT_LE(s.fake.now, s.lease.deadline_ms);
}

TEST(Challenges, AreSentAgainToWhoComesBack) {
  Scene s(setup(true));
  const auto first = s.second_share();
  ASSERT_TRUE(first);
  s.fake.pool->on_close(kMiner);
  s.fake.tick(500);
  EXPECT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  const auto challenge = s.fake.challenge();
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->answer_ms, first->answer_ms - 500);
  answer(s, *challenge);
  EXPECT_TRUE(s.state().shares[1].spotted);
}

// F02, A1, A2: a full disk, a state that is gone, a diverged model.
TEST(Challenges, AreNoConfessionWhenTheLeaseIsGivenBack) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_TRUE(s.state().shares[1].replayed);  // the pool looked itself
  EXPECT_FALSE(s.banned());
  EXPECT_EQ(s.state().gross, 0U);
  EXPECT_EQ(s.fake.pool->audits_pending(), 0U);
  EXPECT_EQ(pause_ms(s), Pause::kFirstMs);
}

TEST(Challenges, AreNotEscapedByGivingTheLeaseBack) {
  Scene s(setup(true));
  spoil(s);
  ASSERT_TRUE(s.second_share());
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_TRUE(s.banned());
}

TEST(Challenges, AreNotEscapedByGivingTheLeaseBackBeforeACrash) {
  Scene s(setup(true));
  spoil(s);
  ASSERT_TRUE(s.second_share());
  s.fake.run_tasks = false;  // the pool dies before it has run the share
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_FALSE(s.banned());
  s.fake.run_tasks = true;
  s.fake.start(std::vector(s.fake.durable));
  EXPECT_TRUE(s.banned());
}

TEST(Challenges, AreNotCountedWhileThePoolWasDown) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.now = s.lease.deadline_ms + 3'600'000;
  s.fake.start(std::vector(s.fake.durable));
  s.fake.tick(30'000);
  EXPECT_FALSE(s.state().closed);
  ASSERT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  const auto challenge = s.fake.challenge();
  ASSERT_TRUE(challenge);
  answer(s, *challenge);
  EXPECT_TRUE(s.state().shares[1].spotted);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

// A job that draws no replays, and puts nobody on probation, is no place to keep silent either.
TEST(Challenges, LeftUnansweredAreRunWhateverTheJobDraws) {
  Scene s(without_replays());
  const auto first = s.fake.challenge();
  ASSERT_TRUE(first);
  spoil(s);
  ASSERT_TRUE(s.second_share());
  s.fake.tick(2 * uint64_t{first->answer_ms});
  EXPECT_TRUE(s.state().shares[0].replayed);
  EXPECT_TRUE(s.banned());
}

// Shares of 5 s, answer_ms 1 s: the honest path takes 15.
TEST(Challenges, LeaveASlowDeviceTheTimeOfItsOwnPace) {
  FakePool fake(setup(true));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  auto work = fake.work(lease, miner());
  std::optional<Challenge> challenge;
  for (const auto& share : work.shares) {
    fake.tick(5'000);
    fake.send_share(kMiner, share);
    challenge = fake.challenge();
  }
  ASSERT_TRUE(challenge);
  EXPECT_GE(challenge->answer_ms, 15'000U);
  fake.tick(15'000);
  const auto blocks = fake.open(lease, work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  EXPECT_TRUE(fake.lease_state(lease).shares[1].spotted);
  EXPECT_FALSE(fake.lease_state(lease).shares[1].replayed);
}

TEST(Challenges, LeaveASlowLineTheTimeOfEachBlock) {
  Scene s(setup(true));
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge->seed);
  const uint64_t line = opening_line_ms(s.fake.pool->state().work_of(s.lease));
  s.fake.tick(challenge->answer_ms - 1);
  for (uint32_t i = 0; i < blocks.size(); ++i) {
    s.fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
    s.fake.tick(line - 1);
  }
  EXPECT_TRUE(s.state().shares[1].spotted);
  EXPECT_FALSE(s.state().shares[1].replayed);
}

// What a challenge costs in time is not taken from the lease.
TEST(Challenges, LengthenTheLeaseByTheirTime) {
  FakeSetup how = setup(true);
  const auto change = how.change;
  how.change = [change](verifier::Job& job) {
    change(job);
    job.audit.answer_ms = 40'000;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  auto work = fake.work(lease, miner());
  fake.tick(30'000);
  fake.send_share(kMiner, work.shares[0]);
  fake.tick(29'000);
  fake.send_share(kMiner, work.shares[1]);
  const auto challenge = fake.challenge();
  ASSERT_TRUE(challenge);
  fake.tick(30'000);
  ASSERT_GT(fake.now, lease.deadline_ms);
  const auto blocks = fake.open(lease, work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  fake.tick(500);
  fake.send_delta(kMiner, lease, work.delta);
  EXPECT_EQ(fake.lease_state(lease).closed, CloseReason::complete);
}

}  // namespace
}  // namespace gemmine::pool
