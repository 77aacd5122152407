// Whose word counts, and what silence costs: auditors' verdicts, challenges, time-outs.
#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

TEST(AuditorVerdicts, AreLoggedOnceAndPayNobody) {
  Scene s(setup(false));
  EXPECT_EQ(s.say(s.verdict(0, Outcome::valid)), std::nullopt);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 2U);  // the pool's replay, and this one
  EXPECT_EQ(s.say(s.verdict(0, Outcome::valid)), WireError::duplicate);
  EXPECT_EQ(s.say(s.verdict(0, Outcome::invalid)), WireError::duplicate);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 2U);
  EXPECT_EQ(s.fake.pool->ledger().valid_shares(miner().public_key(), s.fake.job_id()), 1U);
}

TEST(AuditorVerdicts, ThatLieAreReplayedAndForgotten) {
  Scene s(setup(false));
  s.second_share();
  EXPECT_FALSE(s.state().shares[1].replayed);
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid)), std::nullopt);
  EXPECT_TRUE(s.state().shares[1].replayed);  // the pool looked itself
  EXPECT_FALSE(s.banned());
  EXPECT_FALSE(s.state().closed);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

TEST(AuditorVerdicts, AgainstAShareUnderASpotCheckAreStillReplayed) {
  Scene s(setup(true));
  s.work.shares[1].loss += 1;  // no block shows it
  verifier::sign(s.work.shares[1], miner());
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  EXPECT_EQ(s.say(s.verdict(1, Outcome::malformed)), std::nullopt);
  s.work.runs[1].share = s.work.shares[1];
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    s.fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  EXPECT_TRUE(s.banned());
  EXPECT_EQ(s.state().closed, CloseReason::rejected);
}

TEST(AuditorVerdicts, OnWhatIsNotThereAreRefused) {
  Scene s(setup(false));
  auto unknown = s.verdict(1, Outcome::invalid);  // not sent yet
  EXPECT_EQ(s.say(unknown), WireError::unknown_lease);
  unknown = s.verdict(0, Outcome::invalid);
  unknown.share_id.bytes[0] ^= 1;
  EXPECT_EQ(s.say(unknown), WireError::unknown_lease);
  unknown = s.verdict(0, Outcome::invalid);
  unknown.lease_id.bytes[0] ^= 1;
  EXPECT_EQ(s.say(unknown), WireError::unknown_lease);
}

TEST(AuditorVerdicts, NeedTheSignatureOfWhoSendsThem) {
  Scene s(setup(false));
  EXPECT_EQ(s.say(s.verdict(0, Outcome::valid), 6), WireError::bad_signature);
  EXPECT_TRUE(s.hung_up(kAuditor));
  auto forged = s.verdict(0, Outcome::valid);
  verifier::sign(forged, auditor());
  forged.outcome = Outcome::invalid;
  s.fake.frame(kAuditor, MessageType::verdict, encode(VerdictMessage{encode(forged)}));
  EXPECT_EQ(s.fake.error(), WireError::bad_signature);
  // A miner has no verdicts to give.
  s.fake.frame(kMiner, MessageType::verdict, encode(VerdictMessage{encode(forged)}));
  EXPECT_EQ(s.fake.error(), WireError::bad_type);
}

TEST(AuditorVerdicts, OfTheUnlistedChangeNothingAndCloseNothing) {
  Scene s(setup(false, {auditor(6).public_key()}));
  s.second_share();
  const size_t records = s.fake.durable.size();
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid)), WireError::too_many);
  EXPECT_FALSE(s.hung_up(kAuditor));
  EXPECT_EQ(s.fake.durable.size(), records);
  EXPECT_FALSE(s.state().shares[1].replayed);
  ASSERT_EQ(s.fake.join(ConnId{9}, auditor(6), Role::auditor), std::nullopt);
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid), 6, ConnId{9}), std::nullopt);
  EXPECT_TRUE(s.state().shares[1].replayed);
}

TEST(AuditorVerdicts, AreBoundedPerShareWhenEverybodyMaySpeak) {
  Scene s(setup(false));
  for (uint8_t i = 0; i < kVerdictsPerShareMax; ++i) {
    const ConnId id{uint64_t{100} + i};
    ASSERT_EQ(s.fake.join(id, auditor(20 + i), Role::auditor), std::nullopt);
    EXPECT_EQ(s.say(s.verdict(0, Outcome::valid), 20 + i, id), std::nullopt);
  }
  const size_t records = s.fake.durable.size();
  EXPECT_EQ(s.say(s.verdict(0, Outcome::valid)), WireError::too_many);
  EXPECT_EQ(s.fake.durable.size(), records);
}

TEST(Challenges, AreAnsweredWithOpenings) {
  Scene s(setup(true));
  const auto challenge = s.second_share();
  ASSERT_TRUE(challenge);
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    s.fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  EXPECT_TRUE(s.state().shares[1].spotted);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

TEST(Challenges, LeftUnansweredCostTheLeaseAndTheKey) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.tick(1'001);
  EXPECT_FALSE(s.state().closed);  // the line may be dead: nothing was heard since
  s.fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  s.fake.tick(0);
  EXPECT_EQ(s.state().closed, CloseReason::rejected);
  EXPECT_EQ(s.state().shares[1].pool_verdict, Outcome::invalid);
  EXPECT_TRUE(s.banned());
  const auto told = decode<VerdictMessage>(*s.fake.receive(MessageType::verdict)).value();
  EXPECT_EQ(verifier::decode_verdict(told.verdict).value().kind, AuditKind::unanswered);
  EXPECT_EQ(s.fake.error(), WireError::banned);
  ASSERT_EQ(s.fake.join(ConnId{8}, auditor(7)), std::nullopt);
  const auto again = s.fake.get_lease(ConnId{8});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->slot, s.lease.slot);
}

TEST(Challenges, WaitForWhoIsAwayUntilTheLeaseEnds) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.pool->on_close(kMiner);
  s.fake.tick(30'000);
  EXPECT_FALSE(s.banned());
  EXPECT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  const auto challenge = s.fake.challenge();  // it comes again, with the whole time
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->answer_ms, 1'000U);
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    s.fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  EXPECT_TRUE(s.state().shares[1].spotted);
}

TEST(Challenges, CannotBeOutlastedByComingAndGoing) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  for (int i = 0; i < 200 && !s.banned(); ++i) {
    s.fake.pool->on_close(kMiner);
    s.fake.tick(500);
    const auto refused = s.fake.join(kMiner, miner());
    EXPECT_EQ(refused, s.banned() ? std::optional(WireError::banned) : std::nullopt);
  }
  EXPECT_TRUE(s.banned());
  EXPECT_LE(s.fake.now, s.lease.deadline_ms + 2'000);
}

TEST(Challenges, AreNotEscapedByAbandoningTheLease) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_EQ(s.state().closed, CloseReason::rejected);
  EXPECT_TRUE(s.banned());
}

TEST(Challenges, AreNotCountedWhileThePoolWasDown) {
  Scene s(setup(true));
  ASSERT_TRUE(s.second_share());
  s.fake.now = s.lease.deadline_ms + 3'600'000;
  s.fake.start(std::vector(s.fake.durable));
  s.fake.tick(30'000);
  EXPECT_FALSE(s.banned());
  ASSERT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  const auto challenge = s.fake.challenge();
  ASSERT_TRUE(challenge);
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge->seed);
  for (uint32_t i = 0; i < blocks.size(); ++i)
    s.fake.send_opening(kMiner, challenge->lease_id, 1, i, blocks[i]);
  EXPECT_TRUE(s.state().shares[1].spotted);
  EXPECT_FALSE(s.banned());
}

TEST(Sessions, EndWhenSilentAndWhenTheGreetingTakesTooLong) {
  Scene s(setup(false));
  s.fake.pool->on_open(ConnId{30}, filled(1), filled(2), s.fake.now);
  s.fake.tick(kGreetingMs + 1);
  EXPECT_TRUE(s.hung_up(ConnId{30}));
  EXPECT_FALSE(s.hung_up(kMiner));
  s.fake.tick(60'000);
  s.fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  s.fake.tick(60'000);
  EXPECT_TRUE(s.hung_up(kAuditor));
  EXPECT_FALSE(s.hung_up(kMiner));
}

}  // namespace
}  // namespace gemmine::pool
