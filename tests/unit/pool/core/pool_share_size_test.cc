// A pool gives shares of the size that a key's last ones call for, and a restarted one does too.
#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

constexpr ConnId kFast{1};
constexpr ConnId kSlow{2};

class PoolShareSize : public testing::Test {
 protected:
  // Works a lease off, each share taking so long; returns the shares' size.
  uint32_t lease_size(ConnId id, const verifier::Identity& who, uint64_t share_ms) {
    const auto lease = fake_.get_lease(id);
    if (!lease) return 0;
    const auto work = fake_.work(*lease, who);
    for (uint32_t i = 0; i < work.shares.size(); ++i) {
      fake_.now += share_ms;
      fake_.send_share(id, work, i);
    }
    fake_.send_delta(id, *lease, work.delta);
    return lease->steps_per_share;
  }

  // Leases of sixteen steps; the job's shares have two. A second is the target.
  FakePool fake_{{.change =
                      [](verifier::Job& job) {
                        job.spec.rounds = 8;
                        job.spec.steps_per_lease = 16;
                      },
                  .auditors = {},
                  .share_ms = 1'000}};
  const verifier::Identity fast_ = verifier::Identity::from_seed(filled(3));
  const verifier::Identity slow_ = verifier::Identity::from_seed(filled(4));
};

TEST_F(PoolShareSize, FitsTheKeyAndOutlivesThePool) {
  ASSERT_EQ(fake_.join(kFast, fast_), std::nullopt);
  ASSERT_EQ(fake_.join(kSlow, slow_, Role::miner, "bob"), std::nullopt);
  EXPECT_EQ(lease_size(kFast, fast_, 100), 2U);  // nothing is known of it
  EXPECT_EQ(lease_size(kSlow, slow_, 2'000), 2U);
  EXPECT_EQ(lease_size(kFast, fast_, 100), 4U);  // a quarter of the lease
  EXPECT_EQ(lease_size(kSlow, slow_, 2'000), 1U);

  fake_.start(fake_.durable);
  ASSERT_EQ(fake_.join(kFast, fast_), std::nullopt);
  ASSERT_EQ(fake_.join(kSlow, slow_, Role::miner, "bob"), std::nullopt);
  EXPECT_EQ(lease_size(kFast, fast_, 100), 4U);
  EXPECT_EQ(lease_size(kSlow, slow_, 2'000), 1U);
}

}  // namespace
}  // namespace gemmine::pool
