// Shares, and leases that are given back, run out or diverge: never a key, without a wrong bit.
#include "pool/core/leases.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;

TEST(Shares, OfASignatureThatIsWrongAreRefusedByTheLedgerAlone) {
  Scene s(batches(1));
  auto share = s.work.shares[1];
  share.signature[5] ^= 1;
  const size_t records = s.fake.durable.size();
  s.fake.send_share(kMiner, share, s.work.runs[1].step_digests);
  EXPECT_EQ(s.fake.error(), WireError::bad_signature);
  EXPECT_EQ(s.fake.durable.size(), records);
}

// A share stands by its steps: a replay has to be able to end at the first wrong one.
TEST(Shares, WithoutTheDigestsOfTheirStepsAreRefused) {
  Scene s(batches(1));
  const size_t records = s.fake.durable.size();
  auto steps = s.work.runs[1].step_digests;
  s.fake.send_share(kMiner, s.work.shares[1], {});
  EXPECT_EQ(s.fake.error(), WireError::bad_steps);
  steps[0].bytes[3] ^= 1;
  s.fake.send_share(kMiner, s.work.shares[1], steps);
  EXPECT_EQ(s.fake.error(), WireError::bad_steps);
  EXPECT_EQ(s.fake.durable.size(), records);
  s.second_share();
  EXPECT_EQ(s.state().shares.size(), 2U);
  EXPECT_EQ(digests_of(s.fake.kept.at(s.state().shares[1].id)), s.work.runs[1].step_digests);
}

TEST(Replays, EndAtTheFirstWrongStep) {
  Scene s(batches(1));
  // The second step of the second share is not what it should be, and committed to.
  auto steps = s.work.runs[1].step_digests;
  steps[1].bytes[0] ^= 1;
  verifier::Share& share = s.work.shares[1];
  share.trace_root = verifier::trace_root(s.lease.id, share.first_step, steps);
  verifier::sign(share, miner());
  s.fake.send_share(kMiner, share, steps);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  ASSERT_TRUE(s.state().wrong);
  EXPECT_EQ(s.state().wrong->index, 1U);
  EXPECT_EQ(s.state().wrong->step, 3U);  // of the lease
  const auto payload = s.fake.receive(MessageType::verdict);
  ASSERT_TRUE(payload);
  const auto verdict =
      verifier::decode_verdict(decode<VerdictMessage>(*payload).value().verdict).value();
  EXPECT_EQ(verdict.digest, s.work.runs[1].step_digests[1]);
}

TEST(Abandoned, LeasesAreNotPaidAndNotLookedAt) {
  Scene s(batches(1));
  s.fake.abandon(kMiner, s.lease, miner());
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_EQ(s.fake.pool->audits_pending(), 0U);
  EXPECT_FALSE(s.banned());
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 0U);
}

TEST(Abandoned, OnlyByTheirMinersOwnWord) {
  Scene s(batches(1));
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id, verifier::kNoStep, {}}));
  EXPECT_EQ(s.fake.error(), WireError::bad_signature);
  EXPECT_FALSE(s.state().closed);
}

// NaN is a result of the job, not of the miner: the pool looks itself, and the job stops.
TEST(Divergence, StopsTheJobWhenItIsTrue) {
  FakeSetup how = batches(50);
  how.change = [](verifier::Job& job) {
    job.audit.batch_leases = job.audit.first_batch = 50;
    job.spec.lr = 3e38F;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  auto engine = fake.engine();
  std::vector<float> state = fake.theta_of(lease.theta_root);
  state.resize(fake.job_work().program().state_floats());
  uint32_t done = 0;
  const auto run = verifier::run_share(
      *engine, {fake.job_work(), lease, fake.theta_of(lease.theta_root)}, 0, state, &done);
  ASSERT_FALSE(run);
  fake.abandon(kMiner, lease, miner(), done);
  EXPECT_EQ(fake.count(RecordKind::stop), 1U);
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_EQ(fake.sum(), 0);
  EXPECT_EQ(fake.pool->ledger().accounts().at("external"), 0);  // the escrow went back
  EXPECT_FALSE(fake.get_lease(kMiner));
}

TEST(Divergence, ThatIsALieStopsNothingAndSlowsTheKey) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  fake.abandon(kMiner, lease, miner(), 1);
  EXPECT_EQ(fake.count(RecordKind::stop), 0U);
  fake.tick(Pause::kFirstMs);
  EXPECT_FALSE(fake.get_lease(kMiner));
}

// Garbage, and then the word that training ends right behind it: it ends with the first wrong step,
// and is what garbage is.
TEST(Divergence, BehindWrongSharesConvictsWhoSentThem) {
  FakePool fake(batches(50));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  verifier::Share share = fake.work(lease, miner()).shares[0];
  const std::vector<Digest> steps(share.steps, filled(0x66));
  share.trace_root = verifier::trace_root(lease.id, 0, steps);
  verifier::sign(share, miner());
  fake.send_share(kMiner, share, steps);
  fake.run_tasks = false;
  fake.abandon(kMiner, lease, miner(), share.steps);
  ASSERT_EQ(fake.held.size(), 1U);
  EXPECT_EQ(std::get<DivergenceTask>(fake.held[0]).shares.size(), 1U);
  fake.run_held();
  EXPECT_EQ(fake.count(RecordKind::stop), 0U);
  EXPECT_TRUE(fake.lease_state(lease).wrong);
  EXPECT_EQ(fake.count(RecordKind::verdict), 1U);
  EXPECT_FALSE(fake.pool->ledger().members().at(miner().public_key()).banned);  // no proof names it
}

// The shares before it are right, and are run once: what is said of the rest is a lie.
TEST(Divergence, BehindRightSharesIsLookedAtAfterThem) {
  Scene s(batches(50));
  s.fake.abandon(kMiner, s.lease, miner(), s.work.shares[1].first_step);
  EXPECT_EQ(s.fake.count(RecordKind::stop), 0U);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 0U);
  EXPECT_FALSE(s.state().wrong);
  s.fake.tick(Pause::kFirstMs);
  EXPECT_FALSE(s.fake.get_lease(kMiner));
}

TEST(Divergence, AtAStepThatIsNotTheNextIsNotLookedAt) {
  Scene s(batches(1));
  s.fake.run_tasks = false;
  s.fake.abandon(kMiner, s.lease, miner(), 1);  // of the share that was sent
  EXPECT_TRUE(s.fake.held.empty());
}

}  // namespace
}  // namespace gemmine::pool
