// Sums that are kept record by record. FakePool compares them with a scan after every step of every
// test in this folder; here are the numbers themselves, and the turns a verdict can take.
#include "pool/core/totals.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

constexpr ConnId kConn{1};

class RunningTotals : public testing::Test {
 protected:
  RunningTotals() { EXPECT_EQ(fake_.join(kConn, miner_), std::nullopt); }
  const MinerTotals& mine() { return fake_.pool->totals().miners().at(miner_.public_key()); }

  FakePool fake_;
  const verifier::Identity miner_ = verifier::Identity::from_seed(filled(3));
};

TEST_F(RunningTotals, CountAJobToItsEnd) {
  EXPECT_EQ(fake_.pool->totals(), Totals{});
  uint64_t macs = 0;
  std::deque<float> losses;
  for (int i = 0; i < 4; ++i) {
    const auto lease = fake_.get_lease(kConn);
    ASSERT_TRUE(lease);
    const auto work = fake_.work(*lease, miner_);
    fake_.deliver(kConn, *lease, work);
    for (const auto& share : work.shares) {
      macs += share.macs;
      losses.push_back(share.loss);
    }
  }
  EXPECT_EQ(mine().leases,
            (LeaseCounts{.all = 4, .complete = 4, .audited = 4, .wrong = 0, .paid = 4}));
  EXPECT_EQ(mine().shares, 8u);
  EXPECT_EQ(mine().macs, macs);
  EXPECT_EQ(mine().gross, 4 * fake_.job_state().gross_per_lease);
  const JobTotals& job = fake_.pool->totals().jobs().at(fake_.job_id());
  EXPECT_EQ(job.shares, 8u);
  EXPECT_EQ(job.steps, 16u);
  EXPECT_EQ(job.losses, losses);
  EXPECT_EQ(fake_.pool->totals().leases(), mine().leases);
  fake_.start(fake_.durable);
  EXPECT_EQ(fake_.pool->totals().leases(), mine().leases) << "after a restart";
}

TEST_F(RunningTotals, CountALeaseThatIsFoundWrong) {
  const auto lease = fake_.get_lease(kConn);
  auto work = fake_.work(*lease, miner_);
  work.shares[1].loss += 1;
  verifier::sign(work.shares[1], miner_);
  fake_.deliver(kConn, *lease, work);
  EXPECT_EQ(mine().leases,
            (LeaseCounts{.all = 1, .complete = 1, .audited = 1, .wrong = 1, .paid = 0}));
  EXPECT_EQ(mine().gross, 0u);
}

TEST_F(RunningTotals, KeepOnlyTheLastLosses) {
  EXPECT_GE(kLossesKept, 10u);
  Totals totals = fake_.pool->totals();
  const auto lease = fake_.get_lease(kConn);
  const auto work = fake_.work(*lease, miner_);
  fake_.send_share(kConn, work, 0);
  const verifier::Record share =
      *std::ranges::find(fake_.durable, verifier::RecordKind::share, &verifier::Record::kind);
  Totals many = fake_.pool->totals();
  for (size_t i = 0; i < 2 * kLossesKept; ++i) {
    many.before(share, fake_.pool->ledger());
    many.after(share, fake_.pool->ledger());
  }
  EXPECT_EQ(many.jobs().at(fake_.job_id()).losses.size(), kLossesKept);
  EXPECT_NE(many, totals);
}

}  // namespace
}  // namespace gemmine::pool
