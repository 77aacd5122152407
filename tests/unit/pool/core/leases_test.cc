// Who gets a lease: jobs as they came, money, pauses, members.
#include "pool/core/leases.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
using verifier::RecordKind;

verifier::Work another(const FakePool& fake, const std::string& name) {
  verifier::Job job = fake.job();
  job.name = name;
  return verifier::Work::make(job).value();
}

// A second job whose id comes before the first one's, or after it.
verifier::Work beside(const FakePool& fake, bool before) {
  for (int i = 0;; ++i) {
    verifier::Work work = another(fake, "beside" + std::to_string(i));
    if ((work.id() < fake.job_id()) == before) return work;
  }
}

TEST(Leases, AreNotTakenFourTimesASecondByAFailingMachine) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  int taken = 0;
  for (int i = 0; i < 100; ++i, fake.tick(10)) {
    if (const auto lease = fake.get_lease(kMiner)) {
      ++taken;
      fake.frame(kMiner, MessageType::abandon, encode(Abandon{lease->id}));
    } else {
      EXPECT_GT(fake.no_lease()->retry_after_ms, 0U);
    }
  }
  EXPECT_EQ(taken, 1);
}

TEST(Leases, ComeAtOnceAfterAnHonestOneThatFollowedAFailure) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto failed = fake.get_lease(kMiner);
  fake.frame(kMiner, MessageType::abandon, encode(Abandon{failed->id}));
  EXPECT_FALSE(fake.get_lease(kMiner));
  fake.tick(Pause::kFirstMs);
  const auto lease = fake.get_lease(kMiner);
  ASSERT_TRUE(lease);
  const auto work = fake.work(*lease, miner());
  for (const auto& share : work.shares)
    fake.send_share(kMiner, share);
  fake.send_delta(kMiner, *lease, work.delta);
  ASSERT_EQ(fake.lease_state(*lease).closed, CloseReason::complete);
  const auto second = fake.get_lease(kMiner);
  ASSERT_TRUE(second);
  fake.frame(kMiner, MessageType::abandon, encode(Abandon{second->id}));
  fake.tick(Pause::kFirstMs);  // not twice that: the failures before are forgotten
  EXPECT_TRUE(fake.get_lease(kMiner));
}

TEST(Leases, PauseAKeyThatLetsThemExpire) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = fake.get_lease(kMiner);
  fake.now = lease->deadline_ms + 1;
  fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  fake.tick(0);
  EXPECT_EQ(fake.lease_state(*lease).closed, CloseReason::expired);
  EXPECT_FALSE(fake.get_lease(kMiner));
  // Another key takes the slot at once.
  ASSERT_EQ(fake.join(ConnId{9}, auditor(7)), std::nullopt);
  EXPECT_EQ(fake.get_lease(ConnId{9})->slot, lease->slot);
}

// A11: wherever the dry job's id stands.
TEST(Leases, AreOfTheNextJobWhenOneHasNoMoney) {
  for (const bool before : {true, false}) {
    FakePool fake({.change = [](verifier::Job&) {}, .auditors = {}, .fund = 0});
    ASSERT_TRUE(fake.add_beside(beside(fake, before), 1'000'000'000).ok());
    ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
    const auto lease = fake.get_lease(kMiner);
    ASSERT_TRUE(lease);
    EXPECT_NE(lease->job_id, fake.job_id());
  }
}

TEST(Leases, AreRefusedOnlyWhenEveryJobIsDry) {
  FakePool fake({.change = [](verifier::Job&) {}, .auditors = {}, .fund = 0});
  ASSERT_TRUE(fake.add_beside(beside(fake, true), 0).ok());
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  EXPECT_FALSE(fake.get_lease(kMiner));
  const auto none = fake.no_lease();
  ASSERT_TRUE(none);
  EXPECT_EQ(none->retry_after_ms, kDryRetryMs);
  EXPECT_NE(none->reason.find("escrow"), std::string::npos);
  EXPECT_EQ(fake.count(RecordKind::lease), 0U);
  EXPECT_EQ(fake.count(RecordKind::member), 0U);
}

TEST(Leases, FollowTheOrderInWhichJobsCame) {
  for (const bool before : {true, false}) {
    FakePool fake;
    ASSERT_TRUE(fake.add_beside(beside(fake, before), 1'000'000'000).ok());
    ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
    EXPECT_EQ(fake.get_lease(kMiner)->job_id, fake.job_id());
  }
}

TEST(Leases, GoOnWhenADryJobIsFilledAgain) {
  FakePool fake;
  const uint64_t price = fake.job_state().gross_per_lease;
  fake.setup.fund = price;  // for one lease of four
  fake.start({});
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = fake.get_lease(kMiner);
  ASSERT_TRUE(lease);
  const auto work = fake.work(*lease, miner());
  for (const auto& share : work.shares)
    fake.send_share(kMiner, share);
  fake.send_delta(kMiner, *lease, work.delta);
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_TRUE(fake.pool->rooms().at(fake.job_id()).dry);
  fake.setup.fund = 4 * price;
  fake.start(std::vector(fake.durable));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  while (const auto next = fake.get_lease(kMiner)) {
    const auto more = fake.work(*next, miner());
    for (const auto& share : more.shares)
      fake.send_share(kMiner, share);
    fake.send_delta(kMiner, *next, more.delta);
  }
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_EQ(fake.sum(), 0);
  for (const auto& [account, amount] : fake.pool->ledger().accounts()) {
    const bool open = account.starts_with("vesting:") || account.starts_with("escrow:");
    EXPECT_TRUE(!open || amount == 0) << account;
  }
}

TEST(Members, AreLoggedWithTheirFirstLeaseAndNotBefore) {
  FakePool fake;
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_EQ(fake.join(ConnId{100 + i}, auditor(50)), std::nullopt);
    fake.pool->on_close(ConnId{100 + i});
  }
  EXPECT_EQ(fake.count(RecordKind::member), 0U);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.count(RecordKind::member), 1U);
  ASSERT_TRUE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.count(RecordKind::member), 1U);
}

TEST(Members, ChangeTheirAccountWithTheirNextLease) {
  Scene s(setup(false));
  s.fake.pool->on_close(kMiner);
  ASSERT_EQ(s.fake.join(kMiner, miner(), Role::miner, "bob"), std::nullopt);
  EXPECT_EQ(s.fake.pool->ledger().members().at(miner().public_key()).account, "alice");
  s.second_share();
  EXPECT_EQ(s.fake.pool->ledger().members().at(miner().public_key()).account, "alice");
  ASSERT_TRUE(s.fake.get_lease(kMiner));
  EXPECT_EQ(s.fake.pool->ledger().members().at(miner().public_key()).account, "bob");
}

TEST(Shares, OfASignatureThatIsWrongAreRefusedByTheLedgerAlone) {
  Scene s(setup(false));
  auto share = s.work.shares[1];
  share.signature[5] ^= 1;
  const size_t records = s.fake.durable.size();
  s.fake.send_share(kMiner, share);
  EXPECT_EQ(s.fake.error(), WireError::bad_signature);
  EXPECT_EQ(s.fake.durable.size(), records);
}

}  // namespace
}  // namespace gemmine::pool
