// Rounds that go wrong: a merge that fails, an evaluation that fails, a lease found wrong too late.
#include "pool/core/rounds.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

constexpr ConnId kHonest{1};
constexpr ConnId kCheater{2};
constexpr ConnId kAuditor{3};

// Nothing is looked at before the job ends, unless somebody says that it is wrong.
void audit_little(verifier::Job& job) {
  job.spec.rounds = 3;
  job.audit.batch_leases = job.audit.first_batch = 50;
}

class PoolRounds : public testing::Test {
 protected:
  void join_all() {
    ASSERT_EQ(fake_.join(kHonest, honest_), std::nullopt);
    ASSERT_EQ(fake_.join(kCheater, cheater_, Role::miner, "mallory"), std::nullopt);
    ASSERT_EQ(fake_.join(kAuditor, auditor_, Role::auditor), std::nullopt);
  }
  verifier::Lease steal() {
    const auto lease = *fake_.get_lease(kCheater);
    auto work = fake_.work(lease, cheater_);
    work.delta.back() ^= 1;
    work.shares[1].delta_root = kernels::blake3(work.delta);
    verifier::sign(work.shares[1], cheater_);
    fake_.deliver(kCheater, lease, work);
    return lease;
  }
  void do_all_leases() {
    while (fake_.do_lease(kHonest, honest_)) {
    }
  }
  void accuse(const verifier::Lease& lease) {
    verifier::Verdict out;
    out.lease_id = lease.id;
    out.index = 1;
    out.share_id = fake_.lease_state(lease).shares[1].id;
    out.outcome = Outcome::invalid;
    out.digest = filled(1);
    verifier::sign(out, auditor_);
    fake_.inbox.clear();
    fake_.frame(kAuditor, MessageType::verdict, encode(VerdictMessage{encode(out)}));
  }
  Digest honest_root() {
    FakePool other(FakeSetup{.change = audit_little, .auditors = {}});
    EXPECT_EQ(other.join(kHonest, honest_), std::nullopt);
    while (other.do_lease(kHonest, honest_)) {
    }
    EXPECT_TRUE(other.job_state().finished);
    return other.job_state().theta_roots.back();
  }

  FakePool fake_{FakeSetup{.change = audit_little, .auditors = {}}};
  const verifier::Identity honest_ = verifier::Identity::from_seed(filled(3));
  const verifier::Identity cheater_ = verifier::Identity::from_seed(filled(4));
  const verifier::Identity auditor_ = verifier::Identity::from_seed(filled(5));
};

// Nobody else's lease is touched: what was wrong is taken out of the next round.
TEST_F(PoolRounds, TakeOutWhatAMergedLeaseAddedWhenItIsFoundWrong) {
  join_all();
  const auto wrong = steal();
  const auto beside = fake_.do_lease(kHonest, honest_);
  ASSERT_EQ(fake_.job_state().round, 1U);
  accuse(wrong);
  EXPECT_TRUE(fake_.lease_state(wrong).wrong);
  EXPECT_EQ(fake_.job_state().round, 1U);
  EXPECT_EQ(fake_.job_state().to_subtract.size(), 1U);
  do_all_leases();
  EXPECT_TRUE(fake_.lease_state(wrong).subtracted);
  EXPECT_FALSE(fake_.lease_state(*beside).wrong);
  EXPECT_TRUE(fake_.lease_state(*beside).paid);
  EXPECT_TRUE(fake_.pool->all_finished());
  EXPECT_EQ(fake_.sum(), 0);
  EXPECT_FALSE(fake_.pool->ledger().accounts().contains("account:mallory"));
}

// The weights that are delivered hold nothing that is known to be wrong.
TEST_F(PoolRounds, RepairTheLastWeightsBeforeTheJobFinishes) {
  join_all();
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(fake_.do_lease(kHonest, honest_));
  const auto wrong = steal();  // the last slot of the last round
  EXPECT_TRUE(fake_.lease_state(wrong).merged);
  EXPECT_TRUE(fake_.lease_state(wrong).subtracted);
  EXPECT_TRUE(fake_.pool->all_finished());
  EXPECT_EQ(fake_.job_state().theta_roots.size(), 4U);
  const auto finish = std::ranges::find(fake_.durable, RecordKind::finish, &verifier::Record::kind);
  ASSERT_NE(finish, fake_.durable.end());
  EXPECT_EQ(decode<verifier::FinishBody>(finish->body).value().theta_root,
            fake_.job_state().theta_roots.back());
  EXPECT_FALSE(fake_.pool->ledger().accounts().contains("account:mallory"));
}

TEST_F(PoolRounds, GoOnFromACrashAfterTheAccusation) {
  join_all();
  const auto wrong = steal();
  fake_.do_lease(kHonest, honest_);
  fake_.run_tasks = false;  // the replay never ends
  accuse(wrong);
  EXPECT_FALSE(fake_.lease_state(wrong).wrong);
  fake_.run_tasks = true;
  fake_.start(std::vector(fake_.durable));
  ASSERT_EQ(fake_.join(kHonest, honest_), std::nullopt);
  do_all_leases();
  // The pool heard the accusation before; what its own draw finds is the same.
  EXPECT_TRUE(fake_.lease_state(wrong).wrong);
  EXPECT_FALSE(fake_.pool->ledger().accounts().contains("account:mallory"));
}

// Found before its round is merged, a lease never gets into it, and the slot is given out again.
TEST_F(PoolRounds, NeverMergeALeaseThatWasFoundWrongBefore) {
  join_all();
  const auto wrong = steal();
  EXPECT_EQ(fake_.lease_state(wrong).closed, CloseReason::complete);
  accuse(wrong);
  EXPECT_TRUE(fake_.lease_state(wrong).wrong);
  EXPECT_FALSE(fake_.job_state().slots[wrong.slot]);
  do_all_leases();
  EXPECT_FALSE(fake_.lease_state(wrong).merged);
  EXPECT_EQ(fake_.job_state().theta_roots.back(), honest_root());
}

TEST_F(PoolRounds, MergeAgainWhenALeaseIsFoundWrongMeanwhile) {
  join_all();
  const auto first = steal();
  ASSERT_TRUE(fake_.do_lease(kHonest, honest_));
  ASSERT_EQ(fake_.job_state().round, 1U);
  ASSERT_TRUE(fake_.do_lease(kHonest, honest_));
  const auto last = *fake_.get_lease(kHonest);
  const auto work = fake_.work(last, honest_);
  fake_.run_tasks = false;
  fake_.deliver(kHonest, last, work);
  ASSERT_EQ(fake_.held.size(), 1U);  // the merge
  accuse(first);                     // and a replay, which comes to its end first
  std::swap(fake_.held.front(), fake_.held.back());
  fake_.run_held();
  EXPECT_EQ(fake_.job_state().round, 2U);
  EXPECT_TRUE(fake_.lease_state(first).subtracted);
}

TEST_F(PoolRounds, TryAFailedMergeAgainButNotForEver) {
  join_all();
  int failures = 0;
  fake_.intercept = [&](const Task& task) -> std::optional<TaskDone> {
    const auto* const merge = std::get_if<MergeTask>(&task);
    if (merge == nullptr) return {};
    ++failures;
    return MergeDone{.job_id = merge->job_id,
                     .round = merge->round,
                     .lease_ids = merge->lease_ids,
                     .subtracted = {},
                     .theta_root = {},
                     .start_root = {},
                     .failed = "the disk is full"};
  };
  fake_.do_lease(kHonest, honest_);
  fake_.do_lease(kHonest, honest_);
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
