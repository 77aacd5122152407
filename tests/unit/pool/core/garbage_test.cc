// Blobs of old rounds go, and nothing that a decision still needs.
#include "pool/core/garbage.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

FakeSetup rounds(uint32_t all, uint32_t kept) {
  FakeSetup out = batches(1);
  const auto change = out.change;
  out.change = [=](verifier::Job& job) {
    change(job);
    job.spec.rounds = all;
  };
  out.rounds_kept = kept;
  return out;
}

void do_lease(FakePool& fake) {
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
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
  EXPECT_EQ(first_round_kept(9, 1), 5U) << "those that are looked at when training diverges";
}

TEST(OldRounds, LoseTheirBlobs) {
  FakePool fake(rounds(9, 5));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 7);
  EXPECT_EQ(thetas(fake), (std::vector{false, false, true, true, true, true, true, true}));
  EXPECT_EQ(deltas(fake), 10U);  // five rounds of two slots
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

// A batch may be drawn rounds later, and any lease of it be run again then.
TEST(OldRounds, WaitForTheSettlementOfTheirLeases) {
  FakeSetup how = rounds(6, 1);
  const auto change = how.change;
  how.change = [change](verifier::Job& job) {
    change(job);
    job.spec.rounds = 14;
    job.audit.batch_leases = job.audit.first_batch = 22;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 10);
  EXPECT_EQ(thetas(fake), std::vector<bool>(11, true));
  EXPECT_EQ(deltas(fake), 20U);
  const size_t kept = fake.kept.size();
  do_rounds(fake, 2);  // the batch is full with the first of them
  EXPECT_EQ(deltas(fake), 2 * verifier::kSuspectRounds);
  EXPECT_LT(fake.kept.size(), kept);  // so have the digests of their steps
}

TEST(OldRounds, AreDroppedAfterARestartToo) {
  FakePool fake(rounds(8, 0));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 6);
  EXPECT_EQ(thetas(fake), std::vector<bool>(7, true));
  fake.setup.rounds_kept = 1;
  fake.start(std::vector(fake.durable));
  const auto left = thetas(fake);
  EXPECT_EQ(std::count(left.begin(), left.end(), true), 5);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  do_rounds(fake, 2);
  EXPECT_TRUE(fake.job_state().finished);
}

// A delta of a lease that is not complete yet: its first audit is still owed.
class LeftDelta : public testing::Test {
 protected:
  static FakeSetup late() {
    FakeSetup out = rounds(6, 2);
    const auto change = out.change;
    out.change = [change](verifier::Job& job) {
      change(job);
      job.spec.slots = 3;
      job.audit.first_audits = 4;
    };
    return out;
  }
  LeftDelta() : fake_(late()) {
    GEMMINE_CHECK(fake_.join(kMiner, miner()) == std::nullopt);
    GEMMINE_CHECK(fake_.do_lease(kMiner, miner()).has_value());  // it may have two leases then
    fake_.run_tasks = false;
    lease_ = *fake_.get_lease(kMiner);
    work_ = fake_.work(lease_, miner());
    fake_.send_share(kMiner, work_, 0);
    fake_.send_share(kMiner, work_, 1);
    root_ = kernels::blake3(work_.delta);
  }
  void abandon() { fake_.abandon(kMiner, lease_, miner()); }

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
  EXPECT_FALSE(fake_.lease_state(lease_).wrong);
}

TEST_F(LeftDelta, GoesWhenItBecomesABlobAfterTheEnd) {
  fake_.fail_disk = [this](const DiskTask& task) {
    if (!std::holds_alternative<FinishDelta>(task)) return false;
    fake_.pool->on_frame(kMiner, static_cast<uint8_t>(MessageType::abandon), 0, 1,
                         encode(Abandon{lease_.id, verifier::kNoStep,
                                        miner().sign(verifier::abandon_message(lease_.id))}),
                         fake_.now);
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
  fake_.send_share(kMiner, other, 0);
  fake_.send_share(kMiner, other, 1);
  fake_.send_delta(kMiner, *second, work_.delta);
  ASSERT_EQ(fake_.lease_state(*second).delta_root, root_);
  abandon();
  EXPECT_TRUE(fake_.has_blob(root_));
  fake_.abandon(kMiner, *second, miner());
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
  FakePool fake(rounds(8, 1));
  verifier::Job job = fake.job();
  job.name = "slow";
  ASSERT_TRUE(fake.add_beside(verifier::Work::make(job).value(), 1'000'000'000).ok());
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const Digest first = fake.job_state().theta_roots.front();
  do_rounds(fake, 6);
  EXPECT_TRUE(fake.has_blob(first));
  EXPECT_FALSE(fake.has_blob(fake.job_state().theta_roots[1]));
}

}  // namespace
}  // namespace gemmine::pool
