// Blobs of old rounds go, and nothing that a decision still needs.
#include "pool/core/garbage.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

FakeSetup rounds(uint32_t all, uint32_t kept) {
  FakeSetup out = setup(false);
  const auto change = out.change;
  out.change = [=](verifier::Job& job) {
    change(job);
    job.spec.rounds = all;
  };
  out.rounds_kept = kept;
  return out;
}

void do_lease(FakePool& fake) {
  const auto lease = fake.get_lease(kMiner);
  ASSERT_TRUE(lease);
  const auto work = fake.work(*lease, miner());
  for (const auto& share : work.shares)
    fake.send_share(kMiner, share);
  fake.send_delta(kMiner, *lease, work.delta);
}
void do_rounds(FakePool& fake, uint32_t count) {
  for (uint32_t i = 0; i < 2 * count; ++i)
    do_lease(fake);
}

// By round: are its θ and all of its deltas there?
std::vector<bool> thetas(const FakePool& fake) {
  std::vector<bool> out;
  for (const Digest& root : fake.job_state().theta_roots)
    out.push_back(fake.has_blob(root));
  return out;
}
size_t deltas(const FakePool& fake) {
  size_t out = 0;
  for (const auto& [id, lease] : fake.pool->ledger().leases())
    out += lease.delta_root && fake.has_blob(*lease.delta_root) ? 1 : 0;
  return out;
}

TEST(OldRounds, StartWhereThePolicySays) {
  EXPECT_EQ(first_round_kept(0, 16), 0U);
  EXPECT_EQ(first_round_kept(15, 16), 0U);
  EXPECT_EQ(first_round_kept(16, 16), 0U);
  EXPECT_EQ(first_round_kept(17, 16), 1U);
  EXPECT_EQ(first_round_kept(1'000, 0), 0U);
}

TEST(OldRounds, LoseTheirBlobs) {
  FakePool fake(rounds(6, 2));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 4);
  EXPECT_EQ(thetas(fake), (std::vector{false, false, true, true, true}));
  EXPECT_EQ(deltas(fake), 4U);  // two rounds of two slots
  do_rounds(fake, 2);
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_TRUE(thetas(fake).back());
}

TEST(OldRounds, StayWhenAllAreKept) {
  FakePool fake(rounds(6, 0));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 5);
  EXPECT_EQ(thetas(fake), std::vector<bool>(6, true));
  EXPECT_EQ(deltas(fake), 10U);
}

TEST(OldRounds, WaitForTheAuditsOfTheirShares) {
  Scene s(rounds(6, 1));
  s.second_share();
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  do_lease(s.fake);
  s.fake.run_tasks = false;
  EXPECT_EQ(s.say(s.verdict(1, verifier::Outcome::invalid)), std::nullopt);
  EXPECT_EQ(s.fake.held.size(), 1U);
  EXPECT_TRUE(s.fake.has_blob(s.lease.theta_root));
  s.fake.run_held();
  do_rounds(s.fake, 3);
  EXPECT_FALSE(s.fake.has_blob(s.lease.theta_root));
  // Final: what is said about it now is logged, and nobody runs it.
  EXPECT_EQ(s.say(s.verdict(0, verifier::Outcome::invalid)), std::nullopt);
  EXPECT_EQ(s.fake.pool->audits_pending(), 0U);
}

TEST(OldRounds, AreDroppedAfterARestartToo) {
  FakePool fake(rounds(6, 0));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 4);
  EXPECT_EQ(thetas(fake), std::vector<bool>(5, true));
  fake.setup.rounds_kept = 1;
  fake.start(std::vector(fake.durable));
  const auto left = thetas(fake);
  EXPECT_EQ(std::count(left.begin(), left.end(), true), 2);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 2);
  EXPECT_TRUE(fake.job_state().finished);
}

// A delta of a lease that is not complete yet: an audit of it is still owed.
class LeftDelta : public testing::Test {
 protected:
  LeftDelta() : fake_(rounds(6, 2)) {
    GEMMINE_CHECK(fake_.join(kMiner, miner()) == std::nullopt);
    fake_.run_tasks = false;
    lease_ = *fake_.get_lease(kMiner);
    work_ = fake_.work(lease_, miner());
    for (const auto& share : work_.shares)
      fake_.send_share(kMiner, share);
    root_ = kernels::blake3(work_.delta);
  }
  void abandon() { fake_.frame(kMiner, MessageType::abandon, encode(Abandon{lease_.id})); }

  FakePool fake_;
  verifier::Lease lease_;
  FakePool::Work work_;
  Digest root_;
};

TEST_F(LeftDelta, GoesWithItsLease) {
  fake_.send_delta(kMiner, lease_, work_.delta);
  ASSERT_TRUE(fake_.has_blob(root_));
  abandon();
  EXPECT_FALSE(fake_.has_blob(root_));
  fake_.run_held();  // the audit that is owed needs no delta
  EXPECT_EQ(fake_.pool->audits_pending(), 0U);
  EXPECT_FALSE(fake_.lease_state(lease_).shares[0].found_wrong());
}

TEST_F(LeftDelta, GoesWhenItBecomesABlobAfterTheEnd) {
  fake_.fail_disk = [this](const DiskTask& task) {
    if (!std::holds_alternative<FinishDelta>(task)) return false;
    fake_.pool->on_frame(kMiner, static_cast<uint8_t>(MessageType::abandon), 0, 1,
                         encode(Abandon{lease_.id}), fake_.now);
    return false;
  };
  fake_.send_delta(kMiner, lease_, work_.delta);
  EXPECT_TRUE(fake_.lease_state(lease_).closed);
  EXPECT_FALSE(fake_.has_blob(root_));
  EXPECT_TRUE(fake_.intake().half_deltas().empty());
}

TEST_F(LeftDelta, StaysForAnotherLeaseThatNamesIt) {
  fake_.send_delta(kMiner, lease_, work_.delta);
  const auto second = fake_.get_lease(kMiner);
  ASSERT_TRUE(second);
  FakePool::Work other = fake_.work(*second, miner());
  other.shares.back().delta_root = root_;
  verifier::sign(other.shares.back(), miner());
  for (const auto& share : other.shares)
    fake_.send_share(kMiner, share);
  fake_.send_delta(kMiner, *second, work_.delta);
  ASSERT_EQ(fake_.lease_state(*second).delta_root, root_);
  abandon();
  EXPECT_TRUE(fake_.has_blob(root_));
  fake_.frame(kMiner, MessageType::abandon, encode(Abandon{second->id}));
  EXPECT_FALSE(fake_.has_blob(root_));
}

TEST_F(LeftDelta, WithoutARecordGoesAtTheNextStart) {
  fake_.send_delta(kMiner, lease_, work_.delta);
  const Digest orphan = fake_.keep(Bytes(100, 7));
  fake_.start(std::vector(fake_.durable));
  EXPECT_FALSE(fake_.has_blob(orphan));
  EXPECT_TRUE(fake_.has_blob(root_));
  EXPECT_TRUE(fake_.has_blob(lease_.theta_root));
}

// Two jobs of one first θ: the slow one's is not the quick one's garbage.
TEST(OldRounds, LeaveWhatAnotherJobNeeds) {
  FakePool fake(rounds(6, 1));
  verifier::Job job = fake.job();
  job.name = "slow";
  ASSERT_TRUE(fake.add_beside(verifier::Work::make(job).value(), 1'000'000'000).ok());
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const Digest first = fake.job_state().theta_roots.front();
  do_rounds(fake, 3);
  EXPECT_TRUE(fake.has_blob(first));
  EXPECT_FALSE(fake.has_blob(fake.job_state().theta_roots[1]));
}

}  // namespace
}  // namespace gemmine::pool
