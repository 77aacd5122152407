// Rounds that go wrong: a merge that fails, an evaluation that fails, a lease found wrong too late.
#include "pool/core/rounds.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

constexpr ConnId kHonest{1};
constexpr ConnId kCheater{2};
constexpr ConnId kAuditor{3};

// Only the first share of a key is audited: what comes after is found by auditors.
void audit_little(verifier::Job& job) {
  job.audit.replay_ppm = 0;
}

class PoolRounds : public testing::Test {
 protected:
  void join_all() {
    ASSERT_EQ(fake_.join(kHonest, honest_), std::nullopt);
    ASSERT_EQ(fake_.join(kCheater, cheater_, Role::miner, "mallory"), std::nullopt);
    ASSERT_EQ(fake_.join(kAuditor, auditor_, Role::auditor), std::nullopt);
  }
  std::optional<verifier::Lease> do_lease(ConnId id, const verifier::Identity& miner,
                                          bool wrong = false) {
    const auto lease = fake_.get_lease(id);
    if (!lease) return {};
    auto work = fake_.work(*lease, miner);
    if (wrong) {
      work.delta.back() ^= 1;
      work.shares[1].delta_root = kernels::blake3(work.delta);
      verifier::sign(work.shares[1], miner);
    }
    for (const auto& share : work.shares)
      fake_.send_share(id, share);
    fake_.send_delta(id, *lease, work.delta);
    return lease;
  }
  void do_all_leases() {
    while (do_lease(kHonest, honest_)) {
    }
  }
  // A verdict on the last share of a lease, signed by the auditor.
  verifier::Verdict verdict(const verifier::Lease& lease, Outcome outcome) {
    verifier::Verdict out;
    out.lease_id = lease.id;
    out.index = 1;
    out.share_id = fake_.lease_state(lease).shares[1].id;
    out.outcome = outcome;
    verifier::sign(out, auditor_);
    return out;
  }
  void accuse(const verifier::Lease& lease) {
    fake_.inbox.clear();
    fake_.frame(kAuditor, MessageType::verdict,
                encode(VerdictMessage{encode(verdict(lease, Outcome::invalid))}));
  }
  Digest honest_root() {
    FakePool other(FakeSetup{.change = audit_little, .auditors = {}});
    EXPECT_EQ(other.join(kHonest, honest_), std::nullopt);
    while (const auto lease = other.get_lease(kHonest)) {
      const auto work = other.work(*lease, honest_);
      for (const auto& share : work.shares)
        other.send_share(kHonest, share);
      other.send_delta(kHonest, *lease, work.delta);
    }
    EXPECT_TRUE(other.job_state().finished);
    return other.job_state().theta_roots.back();
  }

  FakePool fake_{FakeSetup{.change = audit_little, .auditors = {}}};
  const verifier::Identity honest_ = verifier::Identity::from_seed(filled(3));
  const verifier::Identity cheater_ = verifier::Identity::from_seed(filled(4));
  const verifier::Identity auditor_ = verifier::Identity::from_seed(filled(5));
};

TEST_F(PoolRounds, GoBackWhenAMergedLeaseIsFoundWrong) {
  join_all();
  const auto wrong = do_lease(kCheater, cheater_, true);
  const auto beside = do_lease(kHonest, honest_);
  ASSERT_EQ(fake_.job_state().round, 1U);
  const auto later = do_lease(kHonest, honest_);
  const auto open = fake_.get_lease(kHonest);
  ASSERT_TRUE(open);

  accuse(*wrong);
  EXPECT_EQ(fake_.count(RecordKind::rollback), 1U);
  EXPECT_EQ(fake_.job_state().round, 0U);
  EXPECT_TRUE(fake_.lease_state(*wrong).voided);
  EXPECT_TRUE(fake_.lease_state(*later).voided);
  EXPECT_FALSE(fake_.lease_state(*beside).voided);
  EXPECT_EQ(fake_.lease_state(*open).closed, CloseReason::cancelled);
  EXPECT_TRUE(fake_.pool->ledger().members().at(cheater_.public_key()).banned);
  EXPECT_TRUE(fake_.pool->ledger().unvested(cheater_.public_key()).empty());
  const auto round = fake_.receive(MessageType::round);
  ASSERT_TRUE(round);
  EXPECT_EQ(decode<Round>(*round).value().round, 0U);

  const auto again = fake_.get_lease(kHonest);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->round, 0U);
  EXPECT_EQ(again->slot, wrong->slot);
  const auto work = fake_.work(*again, honest_);
  for (const auto& share : work.shares)
    fake_.send_share(kHonest, share);
  fake_.send_delta(kHonest, *again, work.delta);
  do_all_leases();
  EXPECT_TRUE(fake_.pool->all_finished());
  EXPECT_EQ(fake_.job_state().theta_roots.back(), honest_root());
  EXPECT_EQ(fake_.sum(), 0);
  EXPECT_FALSE(fake_.pool->ledger().accounts().contains("account:mallory"));
}

TEST_F(PoolRounds, GoBackFromACrashAfterTheAccusation) {
  join_all();
  const auto wrong = do_lease(kCheater, cheater_, true);
  do_lease(kHonest, honest_);
  fake_.run_tasks = false;  // the replay never ends
  accuse(*wrong);
  EXPECT_EQ(fake_.count(RecordKind::rollback), 0U);
  fake_.run_tasks = true;
  fake_.start(std::vector(fake_.durable));
  EXPECT_EQ(fake_.count(RecordKind::rollback), 1U);
  ASSERT_EQ(fake_.join(kHonest, honest_), std::nullopt);
  do_all_leases();
  EXPECT_EQ(fake_.job_state().theta_roots.back(), honest_root());
}

// The last round would end the job, and with it what a rollback could still mend.
TEST_F(PoolRounds, WaitForASecondLookBeforeTheLastMerge) {
  join_all();
  const auto wrong = do_lease(kCheater, cheater_, true);
  do_lease(kHonest, honest_);
  do_lease(kHonest, honest_);
  const auto last = fake_.get_lease(kHonest);
  const auto work = fake_.work(*last, honest_);
  fake_.run_tasks = false;
  accuse(*wrong);
  for (const auto& share : work.shares)
    fake_.send_share(kHonest, share);
  fake_.send_delta(kHonest, *last, work.delta);
  EXPECT_EQ(fake_.lease_state(*last).closed, CloseReason::complete);
  EXPECT_EQ(fake_.held.size(), 1U);  // the second look; no merge
  fake_.run_held();
  EXPECT_EQ(fake_.count(RecordKind::rollback), 1U);
  do_all_leases();
  EXPECT_EQ(fake_.job_state().theta_roots.back(), honest_root());
}

TEST_F(PoolRounds, MergeAgainAfterASecondLookThatFindsNothing) {
  join_all();
  const auto first = do_lease(kHonest, honest_);
  const auto last = fake_.get_lease(kHonest);
  const auto work = fake_.work(*last, honest_);
  fake_.run_tasks = false;
  accuse(*first);
  for (const auto& share : work.shares)
    fake_.send_share(kHonest, share);
  fake_.send_delta(kHonest, *last, work.delta);
  EXPECT_EQ(fake_.job_state().round, 0U);
  fake_.run_held();
  EXPECT_EQ(fake_.job_state().round, 1U);
  EXPECT_EQ(fake_.count(RecordKind::ban), 0U);
}

TEST_F(PoolRounds, TryAFailedMergeAgainButNotForEver) {
  join_all();
  int failures = 0;
  fake_.intercept = [&](const Task& task) -> std::optional<TaskDone> {
    const auto* const merge = std::get_if<MergeTask>(&task);
    if (merge == nullptr) return {};
    ++failures;
    return MergeDone{merge->job_id, merge->round, merge->lease_ids, {}, {}, "the disk is full"};
  };
  do_lease(kHonest, honest_);
  do_lease(kHonest, honest_);
  EXPECT_EQ(failures, 1);
  fake_.tick(1);
  EXPECT_EQ(failures, 1);
  fake_.tick(kMergeRetryMs);
  EXPECT_EQ(failures, 2);
  for (int i = 0; i < 100; ++i)
    fake_.tick(kMergeRetryMs << kMergeRetriesMax);
  EXPECT_EQ(failures, 1 + static_cast<int>(kMergeRetriesMax));

  fake_.intercept = [](const Task&) { return std::optional<TaskDone>{}; };
  fake_.start(std::vector(fake_.durable));  // a restart always tries
  EXPECT_EQ(fake_.job_state().round, 1U);
}

TEST_F(PoolRounds, MergeOnceTheFailureIsGone) {
  join_all();
  bool fail = true;
  fake_.intercept = [&](const Task& task) -> std::optional<TaskDone> {
    const auto* const merge = std::get_if<MergeTask>(&task);
    if (merge == nullptr || !std::exchange(fail, false)) return {};
    return MergeDone{merge->job_id, merge->round, merge->lease_ids, {}, {}, "the disk is full"};
  };
  do_lease(kHonest, honest_);
  do_lease(kHonest, honest_);
  EXPECT_EQ(fake_.job_state().round, 0U);
  fake_.tick(kMergeRetryMs);
  EXPECT_EQ(fake_.job_state().round, 1U);
}

TEST_F(PoolRounds, FinishThoughTheLastEvaluationFails) {
  join_all();
  fake_.intercept = [](const Task& task) -> std::optional<TaskDone> {
    const auto* const evaluate = std::get_if<EvaluateTask>(&task);
    if (evaluate == nullptr) return {};
    return EvaluateDone{
        .job_id = evaluate->job_id, .theta_root = evaluate->theta_root, .round = evaluate->round};
  };
  do_all_leases();
  EXPECT_TRUE(fake_.job_state().finished);
  EXPECT_TRUE(fake_.pool->all_finished());
}

}  // namespace
}  // namespace gemmine::pool
