// Miners who say that training ends in a NaN: the job is stopped when that is so, and when nobody's
// wrong bits brought it there.
#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

struct Diverging {
  explicit Diverging(bool diverges) : fake(batches(50)) {
    fake.intercept = [diverges](const Task& task) -> std::optional<TaskDone> {
      const auto* const look = std::get_if<DivergenceTask>(&task);
      if (look == nullptr) return {};
      return DivergenceDone{.lease_id = look->lease.id,
                            .step = look->step,
                            .diverges = diverges,
                            .shares = {},
                            .failed = {}};
    };
    EXPECT_EQ(fake.join(kMiner, miner()), std::nullopt);
    for (int i = 0; i < 2; ++i)
      merged.push_back(*fake.do_lease(kMiner, miner()));
    EXPECT_EQ(fake.job_state().round, 1U);
    lease = *fake.get_lease(kMiner);
    fake.abandon(kMiner, lease, miner(), 0);
  }
  FakePool fake;
  std::vector<verifier::Lease> merged;
  verifier::Lease lease;
};

TEST(Divergence, StopsTheJobWhenWhatWasMergedIsRight) {
  Diverging s(true);
  for (const verifier::Lease& lease : s.merged)
    EXPECT_TRUE(s.fake.lease_state(lease).replayed);
  EXPECT_TRUE(s.fake.job_state().stopped);
  EXPECT_TRUE(s.fake.job_state().finished);
  EXPECT_GT(s.fake.pool->ledger().accounts().at("account:alice"), 0);  // its work was right
  EXPECT_EQ(s.fake.sum(), 0);
}

TEST(Divergence, ThatThePoolDoesNotSeeStopsNothing) {
  Diverging s(false);
  s.fake.tick(kAuditRetryMs);
  EXPECT_FALSE(s.fake.job_state().stopped);
  EXPECT_FALSE(s.fake.get_lease(kMiner));  // it waits
  EXPECT_EQ(s.fake.lease_state(s.lease).closed, verifier::CloseReason::abandoned);
}

// Who doubts every new lease for nothing keeps no miner from saying that training diverges.
TEST(Divergence, IsLookedAtThoughSomebodyDoubtsTheLease) {
  Scene s(batches(50));
  EXPECT_EQ(s.say(s.verdict(0, verifier::Outcome::invalid)), std::nullopt);
  uint32_t asked = 0;
  s.fake.intercept = [&](const Task& task) -> std::optional<TaskDone> {
    const auto* const look = std::get_if<DivergenceTask>(&task);
    if (look == nullptr) return {};
    ++asked;
    return DivergenceDone{.lease_id = look->lease.id,
                          .step = look->step,
                          .diverges = true,
                          .shares = {},
                          .failed = {}};
  };
  s.fake.abandon(kMiner, s.lease, miner(), s.work.shares[1].first_step);
  s.fake.tick(kAuditRetryMs);
  EXPECT_EQ(asked, 1U);
  EXPECT_TRUE(s.fake.job_state().stopped);
  EXPECT_TRUE(s.fake.pool->state().accusers.empty());
}

}  // namespace
}  // namespace gemmine::pool
