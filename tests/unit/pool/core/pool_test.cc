#include "pool/core/pool.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;

constexpr ConnId kConn{1};

class PoolSteps : public testing::Test {
 protected:
  // One lease from start to end; false when there is none.
  bool do_lease() { return fake_.do_lease(kConn, miner_).has_value(); }
  FakePool fake_;
  const verifier::Identity miner_ = verifier::Identity::from_seed(filled(3));
};

TEST_F(PoolSteps, RunAJobToItsEndAndPayForIt) {
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(do_lease()) << i;
  EXPECT_TRUE(fake_.job_state().finished);
  EXPECT_TRUE(fake_.pool->all_finished());
  const auto& accounts = fake_.pool->ledger().accounts();
  EXPECT_GT(accounts.at("account:alice"), 0);
  int64_t sum = 0;
  for (const auto& [account, amount] : accounts)
    sum += amount;
  EXPECT_EQ(sum, 0);
  EXPECT_FALSE(do_lease());
  EXPECT_EQ(fake_.error(), WireError::unknown_job);
}

TEST_F(PoolSteps, RefuseSharesOutOfOrderTwiceAndChanged) {
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  const auto lease = fake_.get_lease(kConn);
  const auto work = fake_.work(*lease, miner_);
  fake_.send_share(kConn, work, 1);
  EXPECT_EQ(fake_.error(), WireError::out_of_order);
  const auto& steps = work.runs[0].step_digests;
  auto other = work.shares[0];
  other.signature[0] ^= 1;
  fake_.send_share(kConn, other, steps);
  EXPECT_EQ(fake_.error(), WireError::bad_signature);
  fake_.send_share(kConn, work, 0);
  EXPECT_TRUE(fake_.receive(MessageType::share_ok));
  const size_t records = fake_.durable.size();
  fake_.send_share(kConn, work, 0);
  EXPECT_TRUE(fake_.receive(MessageType::share_ok));
  other = work.shares[0];
  other.loss += 1;
  verifier::sign(other, miner_);
  fake_.send_share(kConn, other, steps);
  EXPECT_EQ(fake_.error(), WireError::conflict);
  other.lease_id = filled(4);
  fake_.send_share(kConn, other, steps);
  EXPECT_EQ(fake_.error(), WireError::unknown_lease);
  EXPECT_EQ(fake_.durable.size(), records);  // none of these left a trace
}

TEST_F(PoolSteps, RefuseADeltaThatIsNotTheOneCommittedTo) {
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  const auto lease = fake_.get_lease(kConn);
  auto work = fake_.work(*lease, miner_);
  fake_.send_delta(kConn, *lease, work.delta);
  EXPECT_EQ(fake_.error(), WireError::out_of_order);
  fake_.send_share(kConn, work, 0);
  fake_.send_share(kConn, work, 1);
  work.delta.back() ^= 1;
  fake_.send_delta(kConn, *lease, work.delta);
  EXPECT_EQ(fake_.error(), WireError::bad_delta);
}

TEST_F(PoolSteps, CloseWhatIsLateAndLeaseItAgain) {
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  const auto lease = fake_.get_lease(kConn);
  const auto work = fake_.work(*lease, miner_);
  fake_.now = lease->deadline_ms + 1;
  fake_.send_share(kConn, work, 0);
  EXPECT_EQ(fake_.error(), WireError::lease_closed);
  fake_.pool->on_tick(fake_.now);
  fake_.settle();
  EXPECT_EQ(fake_.pool->ledger().leases().at((*lease).id).closed, CloseReason::expired);
  fake_.tick(60'000);
  const auto again = fake_.get_lease(kConn);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->slot, lease->slot);
}

TEST_F(PoolSteps, LimitLeasesPerKey) {
  fake_.setup.leases_per_key = 1;
  fake_.start({});
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  ASSERT_TRUE(do_lease());  // a new key has one lease at a time
  EXPECT_TRUE(fake_.get_lease(kConn));
  EXPECT_FALSE(fake_.get_lease(kConn));
  EXPECT_EQ(fake_.error(), WireError::too_many);
}

TEST_F(PoolSteps, AcceptNothingBeforeTheGreeting) {
  fake_.pool->on_open(kConn, {filled(1), filled(2)}, fake_.now);
  for (const MessageType type : {MessageType::get_lease, MessageType::share, MessageType::auth}) {
    fake_.frame(kConn, type, encode(GetLease{}));
    EXPECT_EQ(fake_.error(), WireError::bad_type);
  }
}

TEST_F(PoolSteps, RefuseAnAuthOfAnotherConnection) {
  fake_.pool->on_open(kConn, {filled(1), filled(2)}, fake_.now);
  Hello hello;
  hello.public_key = miner_.public_key();
  hello.account = "alice";
  fake_.frame(kConn, MessageType::hello, encode(hello));
  fake_.frame(kConn, MessageType::auth, encode(Auth{.signature = miner_.sign(filled(5))}));
  EXPECT_EQ(fake_.error(), WireError::bad_signature);
}

// A crash after any record: the pool takes up the rest and comes to the same end.
TEST_F(PoolSteps, GoOnFromEveryRecordBoundary) {
  ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(do_lease());
  const std::vector<verifier::SignedRecord> whole = fake_.durable;
  const auto accounts = fake_.pool->ledger().accounts();
  // What a later record drops is there before it.
  const KeptMap kept = fake_.ever_kept;
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    // Cause and posting are one transaction, and so are a job and its funds: no crash parts them.
    const auto next = cut < whole.size() ? whole[cut].kind : verifier::RecordKind::genesis;
    if (next == verifier::RecordKind::post || next == verifier::RecordKind::fund) continue;
    fake_.kept = kept;
    fake_.start({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut)});
    ASSERT_EQ(fake_.join(kConn, miner_), std::nullopt) << cut;
    std::vector<verifier::Lease> open;
    for (const auto& [id, state] : fake_.pool->ledger().leases()) {
      if (!state.closed) open.push_back(state.lease);
    }
    for (const auto& lease : open) {
      fake_.deliver(kConn, lease, fake_.work(lease, miner_));
    }
    while (do_lease()) {
    }
    EXPECT_TRUE(fake_.job_state().finished) << cut;
    EXPECT_EQ(fake_.pool->ledger().accounts(), accounts) << cut;
  }
}

}  // namespace
}  // namespace gemmine::pool
