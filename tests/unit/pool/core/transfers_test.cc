// Uploads as the pool's centre sees them: how far each is, through kills and a disk that fails.
#include "pool/core/transfers.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;

class Transfers : public testing::Test {
 protected:
  Transfers() : s_(batches(50)) { s_.second_share(); }
  std::optional<Have> have() {
    const auto payload = s_.fake.receive(MessageType::have);
    if (!payload) return {};
    return decode<Have>(*payload).value();
  }
  // The pool is killed, with `bytes` of the delta on disk, and comes back.
  void restart(const Digest& lease_id, const Bytes& bytes) {
    const std::string path = s_.fake.intake().delta_path(lease_id);
    GEMMINE_CHECK(write_durable(path, bytes).ok());
    s_.fake.start(std::vector(s_.fake.durable));
  }
  bool half_is_kept(const Digest& lease_id) const {
    return s_.fake.intake().half_deltas().contains(lease_id);
  }
  Scene s_;
};

TEST_F(Transfers, OfAWholeDeltaSayWhatIsHadAndThatItIsStored) {
  s_.fake.send_delta(kMiner, s_.lease, s_.work.delta);
  EXPECT_EQ(have()->groups, 1U);
  EXPECT_TRUE(s_.fake.receive(MessageType::delta_ok));
  EXPECT_EQ(s_.state().closed, CloseReason::complete);
  EXPECT_FALSE(half_is_kept(s_.lease.id));
}

// The kill came between the last part and its record: nothing is sent again.
TEST_F(Transfers, ThatAreWholeAfterAKillBecomeDeltas) {
  restart(s_.lease.id, s_.work.delta);
  EXPECT_TRUE(s_.state().delta_root);
  EXPECT_FALSE(half_is_kept(s_.lease.id));
}

TEST_F(Transfers, OfNoUseAreDroppedAfterAKill) {
  restart(filled(77), Bytes(10));
  EXPECT_FALSE(half_is_kept(filled(77))) << "no such lease";
  Bytes longer = s_.work.delta;
  longer.push_back(0);
  restart(s_.lease.id, longer);
  EXPECT_FALSE(half_is_kept(s_.lease.id));
  EXPECT_FALSE(s_.state().delta_root);
}

TEST_F(Transfers, EndWithTheirLease) {
  const std::string path = s_.fake.intake().delta_path(s_.lease.id);
  s_.fake.fail_disk = [](const DiskTask& task) {
    return std::holds_alternative<FinishDelta>(task);
  };
  s_.fake.send_delta(kMiner, s_.lease, s_.work.delta);
  ASSERT_TRUE(half_is_kept(s_.lease.id));
  s_.fake.fail_disk = nullptr;
  s_.fake.abandon(kMiner, s_.lease, miner());
  EXPECT_FALSE(half_is_kept(s_.lease.id));
}

// A full disk costs time, and no miner its lease.
TEST_F(Transfers, GoOnWhenTheDiskTakesThemAgain) {
  s_.fake.fail_disk = [](const DiskTask&) { return true; };
  s_.fake.send_delta(kMiner, s_.lease, s_.work.delta);
  EXPECT_EQ(s_.fake.error(), WireError::internal);
  s_.fake.fail_disk = [](const DiskTask& task) {
    return std::holds_alternative<FinishDelta>(task);
  };
  s_.fake.send_delta(kMiner, s_.lease, s_.work.delta);
  EXPECT_EQ(have()->groups, 0U) << "the last group tries again";
  EXPECT_FALSE(s_.state().delta_root);
  s_.fake.fail_disk = nullptr;
  s_.fake.send_delta(kMiner, s_.lease, s_.work.delta);
  EXPECT_EQ(s_.state().closed, CloseReason::complete);
}

TEST_F(Transfers, OfAnswersThatNobodyAskedForAreRefused) {
  const Bytes& delta = s_.work.delta;
  s_.fake.frame(kMiner, MessageType::upload,
                encode(Upload{s_.lease.id, 7, {delta.size(), 0, 1, {}, delta}}));
  EXPECT_EQ(s_.fake.error(), WireError::not_challenged);
}

}  // namespace
}  // namespace gemmine::pool
