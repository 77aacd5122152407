// Whose word counts: what auditors say, and when the pool looks for itself.
#include "pool/core/verdicts.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

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

}  // namespace
}  // namespace gemmine::pool
