// Whose word counts: what auditors say, and when the pool looks for itself.
#include "pool/core/verdicts.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

// A complete lease that nothing demands to be looked at.
struct Quiet : Scene {
  explicit Quiet(std::vector<Digest> auditors = {}) : Scene(batches(50, 0, std::move(auditors))) {
    finish();
  }
};

TEST(AuditorVerdicts, ThatNothingIsWrongAreLoggedOfTheListedOnly) {
  Quiet s({auditor(6).public_key()});
  const size_t records = s.fake.durable.size();
  EXPECT_EQ(s.say(s.verdict(1, Outcome::valid)), WireError::too_many);
  EXPECT_FALSE(s.hung_up(kAuditor));
  EXPECT_EQ(s.fake.durable.size(), records);
  ASSERT_EQ(s.fake.join(ConnId{9}, auditor(6), Role::auditor), std::nullopt);
  EXPECT_EQ(s.say(s.verdict(1, Outcome::valid), 6, ConnId{9}), std::nullopt);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 1U);
  EXPECT_FALSE(s.state().replayed);  // it decides nothing
}

TEST(AuditorVerdicts, ThatLieAreReplayedAndForgotten) {
  Quiet s;
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid)), std::nullopt);
  EXPECT_TRUE(s.state().replayed);  // the pool looked itself
  EXPECT_FALSE(s.state().wrong);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 2U);
}

TEST(AuditorVerdicts, ThatAreTrueConvict) {
  Scene s(batches(50));
  s.spoil(1);
  s.finish();
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid)), std::nullopt);
  EXPECT_TRUE(s.state().wrong);
}

// A thief's own auditor doubts an honest first share; while the pool runs that, the rest comes in
// as garbage. Nothing valid may be said of what was not run.
TEST(AuditorVerdicts, OfAnOpenLeaseWaitForAllOfIt) {
  FakeSetup how = batches(1, 255);
  how.change = [change = how.change](verifier::Job& job) {
    change(job);
    job.spec.steps_per_lease = 64;
  };
  Scene s(how);
  s.fake.run_tasks = false;
  EXPECT_EQ(s.say(s.verdict(0, Outcome::invalid)), std::nullopt);
  Digest last = s.work.shares[0].state_after;
  for (uint32_t i = 1; i < s.lease.shares(); ++i) {
    verifier::Share share = s.work.shares[i];
    const std::vector<Digest> steps(share.steps, filled(0x66));
    share.state_before = last;
    share.state_after = last = filled(static_cast<uint8_t>(i));
    share.trace_root = verifier::trace_root(s.lease.id, share.first_step, steps);
    verifier::sign(share, miner());
    s.fake.send_share(kMiner, share, steps);
  }
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  s.fake.run_held();
  EXPECT_FALSE(s.state().replayed);
  ASSERT_TRUE(s.state().wrong);
  EXPECT_FALSE(s.state().paid);
}

TEST(AuditorVerdicts, OfAnAbandonedLeaseSayNothingGoodOfIt) {
  Scene s(batches(50));
  EXPECT_EQ(s.say(s.verdict(0, Outcome::invalid)), std::nullopt);
  s.fake.abandon(kMiner, s.lease, miner());
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 1U);  // the accuser's
  EXPECT_FALSE(s.state().replayed);
  EXPECT_FALSE(s.state().wrong);
}

// economics.md §7: a thousand false accusations are one replay each, and one for each new key.
TEST(AuditorVerdicts, OfAnUnlistedLiarAreHeardOnce) {
  FakePool fake(batches(50));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_EQ(fake.join(kAuditor, auditor(), Role::auditor), std::nullopt);
  std::vector<verifier::Lease> leases;
  for (int i = 0; i < 2; ++i)
    leases.push_back(*fake.do_lease(kMiner, miner()));
  const auto accuse = [&](const verifier::Lease& lease) {
    verifier::Verdict out;
    out.lease_id = lease.id;
    out.index = 1;
    out.share_id = fake.lease_state(lease).shares[1].id;
    out.outcome = Outcome::invalid;
    out.digest = filled(1);
    verifier::sign(out, auditor());
    fake.inbox.clear();
    fake.frame(kAuditor, MessageType::verdict, encode(VerdictMessage{encode(out)}));
    return fake.error();
  };
  EXPECT_EQ(accuse(leases[0]), std::nullopt);
  EXPECT_TRUE(fake.lease_state(leases[0]).replayed);
  EXPECT_EQ(accuse(leases[1]), WireError::too_many);
  EXPECT_EQ(accuse(leases[0]), WireError::too_many);  // the pool has run it
  EXPECT_FALSE(fake.lease_state(leases[1]).replayed);
}

// Keys are free: strangers' doubts have a bound of their own, which takes nothing from miners, nor
// from those who are listed.
TEST(AuditorVerdicts, OfAThousandStrangersWaitInTheirOwnQueue) {
  FakeSetup how = batches(200, 0, {auditor(6).public_key()});
  how.change = [change = how.change](verifier::Job& job) {
    change(job);
    job.spec.rounds = 100;
  };
  how.rounds_kept = 0;
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  std::vector<verifier::Lease> leases;
  for (size_t i = 0; i < kDoubtsPendingMax + 3; ++i)
    leases.push_back(*fake.do_lease(kMiner, miner()));
  fake.run_tasks = false;
  const auto accuse = [&](const verifier::Lease& lease, const verifier::Identity& who,
                          uint32_t conn) {
    EXPECT_EQ(fake.join(ConnId{conn}, who, Role::auditor), std::nullopt);
    verifier::Verdict out;
    out.lease_id = lease.id;
    out.index = 1;
    out.share_id = fake.lease_state(lease).shares[1].id;
    out.outcome = Outcome::invalid;
    out.digest = filled(1);
    verifier::sign(out, who);
    fake.inbox.clear();
    fake.frame(ConnId{conn}, MessageType::verdict, encode(VerdictMessage{encode(out)}));
    return fake.error();
  };
  const auto stranger = [](uint32_t number) {
    Digest seed = filled(0x51);
    seed.bytes[0] = static_cast<uint8_t>(number);
    return verifier::Identity::from_seed(seed);
  };
  for (uint32_t i = 0; i < kDoubtsPendingMax; ++i)
    ASSERT_EQ(accuse(leases[i], stranger(i), 100 + i), std::nullopt) << i;
  EXPECT_EQ(accuse(leases[kDoubtsPendingMax], stranger(200), 200), WireError::busy);
  EXPECT_EQ(accuse(leases[0], stranger(201), 201), std::nullopt);  // runs nothing more
  EXPECT_EQ(accuse(leases[kDoubtsPendingMax + 1], auditor(6), 202), std::nullopt);
  EXPECT_TRUE(fake.get_lease(kMiner));
  fake.run_held();
  EXPECT_EQ(accuse(leases[kDoubtsPendingMax], stranger(203), 203), std::nullopt);
}

// Leases that end without a look at them leave no doubt behind, and cost who doubted nothing: 64
// such doubts would mute every stranger.
TEST(AuditorVerdicts, OfACancelledLeaseCostNobodyAnything) {
  Scene s(batches(50));
  ASSERT_EQ(s.fake.join(ConnId{7}, auditor(7), Role::miner, "bob"), std::nullopt);
  const auto other = *s.fake.get_lease(ConnId{7});
  EXPECT_EQ(s.say(s.verdict(0, Outcome::invalid)), std::nullopt);  // the lease is open
  EXPECT_EQ(s.fake.pool->state().accusers.size(), 1U);
  EXPECT_EQ(s.fake.pool->state().auditors.size(), 1U);
  s.fake.intercept = [](const Task& task) -> std::optional<TaskDone> {
    const auto* const look = std::get_if<DivergenceTask>(&task);
    if (look == nullptr) return {};
    return DivergenceDone{.lease_id = look->lease.id,
                          .step = look->step,
                          .diverges = true,
                          .shares = {},
                          .failed = {}};
  };
  s.fake.abandon(ConnId{7}, other, auditor(7), 0);
  s.fake.tick(kAuditRetryMs);
  ASSERT_EQ(s.state().closed, CloseReason::cancelled);
  EXPECT_TRUE(s.fake.pool->state().accusers.empty());
  EXPECT_TRUE(s.fake.pool->state().auditors.empty());
}

// Who was right stays heard, whoever found it first.
TEST(AuditorVerdicts, ThatWereRightAreCountedWhenOthersFoundIt) {
  Scene s(batches(1));  // its batch has it run
  s.spoil(1);
  s.fake.run_tasks = false;
  s.finish();
  EXPECT_EQ(s.say(s.verdict(1, Outcome::invalid)), std::nullopt);
  s.fake.run_held();
  EXPECT_TRUE(s.state().wrong);
  EXPECT_TRUE(s.fake.pool->state().accusers.empty());
  const AuditorNotes& notes = s.fake.pool->state().auditors.at(auditor().public_key());
  EXPECT_EQ(notes.accused, 1U);
  EXPECT_EQ(notes.confirmed, 1U);
}

TEST(AuditorVerdicts, OnWhatIsNotThereAreRefused) {
  Scene s(batches(50));
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
  Quiet s;
  EXPECT_EQ(s.say(s.verdict(1, Outcome::valid), 6), WireError::bad_signature);
  EXPECT_TRUE(s.hung_up(kAuditor));
  auto forged = s.verdict(1, Outcome::valid);
  verifier::sign(forged, auditor());
  forged.outcome = Outcome::invalid;
  s.fake.frame(kAuditor, MessageType::verdict, encode(VerdictMessage{encode(forged)}));
  EXPECT_EQ(s.fake.error(), WireError::bad_signature);
  // A miner has no verdicts to give.
  s.fake.frame(kMiner, MessageType::verdict, encode(VerdictMessage{encode(forged)}));
  EXPECT_EQ(s.fake.error(), WireError::bad_type);
}

}  // namespace
}  // namespace gemmine::pool
