// Who gets a lease: jobs as they came, money, pauses, members, and what a thousand new keys may do.
#include "pool/core/granting.h"

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
      fake.abandon(kMiner, *lease, miner());
    } else {
      EXPECT_GT(fake.no_lease()->retry_after_ms, 0U);
    }
  }
  EXPECT_EQ(taken, 1);
}

TEST(Leases, ComeAtOnceAfterAnHonestOneThatFollowedAFailure) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  fake.abandon(kMiner, *fake.get_lease(kMiner), miner());
  EXPECT_FALSE(fake.get_lease(kMiner));
  fake.tick(Pause::kFirstMs);
  const auto lease = fake.do_lease(kMiner, miner());
  ASSERT_TRUE(lease);
  ASSERT_EQ(fake.lease_state(*lease).closed, CloseReason::complete);
  const auto second = fake.get_lease(kMiner);
  ASSERT_TRUE(second);
  fake.abandon(kMiner, *second, miner());
  fake.tick(Pause::kFirstMs);  // not twice that: the failures before are forgotten
  EXPECT_TRUE(fake.get_lease(kMiner));
}

TEST(Leases, PauseANewKeyForALeaseTimeWhenTheyExpire) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = fake.get_lease(kMiner);
  fake.now = lease->deadline_ms + 1;
  fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  fake.tick(0);
  EXPECT_EQ(fake.lease_state(*lease).closed, CloseReason::expired);
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.no_lease()->retry_after_ms, 60'000U);
  // Another key takes the slot at once.
  ASSERT_EQ(fake.join(ConnId{9}, auditor(7)), std::nullopt);
  EXPECT_EQ(fake.get_lease(ConnId{9})->slot, lease->slot);
}

// Whoever has proven itself and worked is slowed by seconds, and heals.
TEST(Leases, PauseAProvenKeyForASecondWhenTheyExpire) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  const auto lease = fake.get_lease(kMiner);
  fake.send_share(kMiner, fake.work(*lease, miner()), 0);
  fake.now = lease->deadline_ms + 1;
  fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  fake.tick(0);
  EXPECT_EQ(fake.lease_state(*lease).closed, CloseReason::expired);
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.no_lease()->retry_after_ms, Pause::kFirstMs);
}

// A record does not pay for slots that are held and not worked on.
TEST(Leases, PauseAProvenKeyForALeaseTimeWhenItSentNothing) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  const auto lease = fake.get_lease(kMiner);
  fake.now = lease->deadline_ms + 1;
  fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  fake.tick(0);
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.no_lease()->retry_after_ms, lease->deadline_ms - lease->issued_ms);
}

// Ten crashes in a row of an honest machine: it waits no longer than pause.h says, holds one lease
// at a time, and one lease that it ends makes all of it undone.
TEST(Leases, ComeBackToAProvenKeyAfterTenCrashes) {
  FakeSetup how = batches(50, 1);
  how.change = [change = how.change](verifier::Job& job) {
    change(job);
    job.spec.rounds = 50;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  uint64_t longest = 0;
  for (int crash = 0; crash < 10; ++crash) {
    const auto lease = fake.get_lease(kMiner);
    ASSERT_TRUE(lease) << crash;
    if (crash > 0) {
      EXPECT_FALSE(fake.get_lease(kMiner)) << crash;  // one at a time
    }
    fake.now = lease->deadline_ms + 1;
    fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
    fake.tick(0);
    ASSERT_FALSE(fake.get_lease(kMiner));
    const uint64_t wait = fake.no_lease()->retry_after_ms;
    longest = std::max(longest, wait);
    fake.now += wait;
    fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
    fake.tick(0);
  }
  EXPECT_EQ(longest, Pause::kProvenLeases * fake.job().audit.lease_ms);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_TRUE(fake.get_lease(kMiner));
  EXPECT_TRUE(fake.get_lease(kMiner));  // two at a time, as ever
}

// A pool that was down knows that nobody could deliver.
TEST(Leases, ThatRanOutWhileThePoolWasDownPauseNobody) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = fake.get_lease(kMiner);
  fake.now = lease->deadline_ms + 3'600'000;
  fake.start(std::vector(fake.durable));
  fake.tick(200);
  EXPECT_EQ(fake.lease_state(*lease).closed, CloseReason::expired);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  EXPECT_TRUE(fake.get_lease(kMiner));
}

TEST(Leases, OfNeighboursWaitToo) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner(), Role::miner, "a", "198.51.100"), std::nullopt);
  const auto lease = fake.get_lease(kMiner);
  fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  fake.now = lease->deadline_ms + 1;
  fake.tick(0);
  ASSERT_EQ(fake.join(ConnId{8}, auditor(8), Role::miner, "b", "198.51.100"), std::nullopt);
  ASSERT_EQ(fake.join(ConnId{9}, auditor(9), Role::miner, "c", "203.0.113"), std::nullopt);
  EXPECT_FALSE(fake.get_lease(ConnId{8}));
  EXPECT_TRUE(fake.get_lease(ConnId{9}));
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
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_TRUE(fake.pool->rooms().at(fake.job_id()).dry);
  fake.setup.fund = 4 * price;
  fake.start(std::vector(fake.durable));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  while (fake.do_lease(kMiner, miner())) {
  }
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_EQ(fake.sum(), 0);
  for (const auto& [account, amount] : fake.pool->ledger().accounts())
    EXPECT_TRUE(!account.starts_with("escrow:") || amount == 0) << account;
}

TEST(Members, AreLoggedWithTheirFirstLeaseAndNotBefore) {
  FakePool fake(batches(1));
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_EQ(fake.join(ConnId{100 + i}, auditor(50)), std::nullopt);
    fake.pool->on_close(ConnId{100 + i});
  }
  EXPECT_EQ(fake.count(RecordKind::member), 0U);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(fake.count(RecordKind::member), 1U);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(fake.count(RecordKind::member), 1U);
}

TEST(Members, ChangeTheirAccountWithTheirNextLease) {
  Scene s(batches(1));
  s.finish();
  s.fake.pool->on_close(kMiner);
  ASSERT_EQ(s.fake.join(kMiner, miner(), Role::miner, "bob"), std::nullopt);
  EXPECT_EQ(s.fake.pool->ledger().members().at(miner().public_key()).account, "alice");
  ASSERT_TRUE(s.fake.get_lease(kMiner));
  EXPECT_EQ(s.fake.pool->ledger().members().at(miner().public_key()).account, "bob");
}

TEST(NewKeys, HoldOneLeaseUntilOneWasFoundRight) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.get_lease(kMiner));
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_EQ(fake.error(), WireError::too_many);
  FakeSetup wide = batches(1);
  wide.change = [change = wide.change](verifier::Job& job) {
    change(job);
    job.spec.slots = 4;
  };
  Scene s(wide);
  s.finish();
  EXPECT_TRUE(s.fake.get_lease(kMiner));
  EXPECT_TRUE(s.fake.get_lease(kMiner));
  EXPECT_FALSE(s.fake.get_lease(kMiner));
}

// economics.md §7: a thousand keys that never deliver have a quarter of a round's slots.
TEST(NewKeys, HaveAQuarterOfTheSlotsBesideProvenOnes) {
  FakeSetup how = batches(1);
  how.change = [](verifier::Job& job) {
    job.audit.batch_leases = job.audit.first_batch = 1;
    job.spec.slots = 8;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  int taken = 0;
  for (uint8_t i = 0; i < 100; ++i) {
    const ConnId id{uint64_t{100} + i};
    ASSERT_EQ(fake.join(id, auditor(100 + i)), std::nullopt);
    taken += fake.get_lease(id) ? 1 : 0;
  }
  EXPECT_EQ(taken, 2);
  EXPECT_TRUE(fake.get_lease(kMiner));  // slots are left for who has proven itself
}

TEST(NewKeys, WaitForAProvenKeyThatWaits) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  ASSERT_EQ(fake.join(ConnId{8}, auditor(8)), std::nullopt);
  const auto held = fake.get_lease(ConnId{8});
  ASSERT_TRUE(held);
  EXPECT_FALSE(fake.get_lease(kMiner));  // no slot is free
  fake.abandon(ConnId{8}, *held, auditor(8));
  ASSERT_EQ(fake.join(ConnId{9}, auditor(9)), std::nullopt);
  EXPECT_FALSE(fake.get_lease(ConnId{9}));
  EXPECT_TRUE(fake.get_lease(kMiner));
}

TEST(NewKeys, WaitForNobodyWhereNobodyHasProvenAnything) {
  FakePool fake;
  for (uint8_t i = 0; i < 2; ++i) {
    ASSERT_EQ(fake.join(ConnId{uint64_t{8} + i}, auditor(8 + i)), std::nullopt);
    EXPECT_TRUE(fake.get_lease(ConnId{uint64_t{8} + i}));
  }
}

TEST(Jobs, InWhichATheftPaysAreRefused) {
  FakePool fake;
  verifier::Job job = fake.job();
  job.name = "gift";
  job.audit.batch_leases = 50;
  job.audit.first_batch = 50;
  job.audit.fail_ppm = 20'000;  // one failed ticket costs one lease of fifty
  const Status added = fake.add_beside(verifier::Work::make(job).value(), 0);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::invalid_argument);
  EXPECT_NE(added.error().detail.find("theft pays"), std::string::npos);
}

TEST(Jobs, InWhichAnHonestDeviceCanBeLateAreRefused) {
  FakePool fake({.change = [](verifier::Job& job) { job.audit.lease_ms = 60'000; },
                 .auditors = {},
                 .share_ms = 20'000});
  verifier::Job job = fake.job();
  job.name = "hasty";
  job.audit.lease_ms = 59'999;  // two shares of 20 s, and half as much again
  const Status added = fake.add_beside(verifier::Work::make(job).value(), 0);
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().detail.find("lease_ms"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
