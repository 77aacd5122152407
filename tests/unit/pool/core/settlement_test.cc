// Batches: drawn when they are closed, paid when every ticket is right, never before.
#include "pool/core/settlement.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {
namespace {

using verifier::BatchState;
using verifier::CloseReason;
using verifier::DrawReason;
using verifier::RecordKind;
using verifier::SettleOutcome;

const BatchState& batch(const FakePool& fake, uint64_t number,
                        const verifier::Identity& who = miner()) {
  const BatchState* const found =
      fake.pool->ledger().batch({fake.job_id(), who.public_key(), number});
  GEMMINE_CHECK(found != nullptr);
  return *found;
}
int64_t balance(const FakePool& fake, const std::string& account) {
  const auto& accounts = fake.pool->ledger().accounts();
  const auto found = accounts.find(account);
  return found == accounts.end() ? 0 : found->second;
}
// A job long enough for any batch.
FakeSetup long_job(uint32_t leases, uint8_t first_audits = 0) {
  FakeSetup out = batches(leases, first_audits);
  const auto change = out.change;
  out.change = [change](verifier::Job& job) {
    change(job);
    job.spec.rounds = 20;
  };
  return out;
}
FakeSetup small_first(uint32_t first_batch, uint32_t leases) {
  FakeSetup out = long_job(leases);
  const auto change = out.change;
  out.change = [change, first_batch](verifier::Job& job) {
    change(job);
    job.audit.first_batch = first_batch;
  };
  return out;
}
// SETTLE for the lease's batch; what the pool refuses.
std::optional<WireError> ask(FakePool& fake, const verifier::Lease& lease,
                             const verifier::Identity& who = miner()) {
  fake.inbox.clear();
  const verifier::Signature said = who.sign(verifier::settle_message(lease.batch_commit));
  fake.frame(kMiner, MessageType::settle, encode(Settle{lease.batch_commit, said}));
  return fake.error();
}
// A lease of which the last share has other bits, committed to throughout.
verifier::Lease steal(FakePool& fake, ConnId id, const verifier::Identity& who) {
  const auto lease = *fake.get_lease(id);
  auto work = fake.work(lease, who);
  work.shares.back().state_after.bytes[0] ^= 1;
  verifier::sign(work.shares.back(), who);
  fake.deliver(id, lease, work);
  return lease;
}

TEST(Batches, AreDrawnWhenFullAndPaidAtOnce) {
  FakePool fake(long_job(2));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_FALSE(batch(fake, 0).draw);
  EXPECT_EQ(balance(fake, "account:alice"), 0);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(batch(fake, 0).draw->reason, DrawReason::full);
  EXPECT_EQ(batch(fake, 0).settled, SettleOutcome::paid);
  EXPECT_GT(balance(fake, "account:alice"), 0);
  EXPECT_EQ(fake.pool->totals().leases().audited, 1U);  // one replay of two leases
  EXPECT_EQ(fake.pool->totals().leases().paid, 2U);
}

TEST(Batches, HaveOneCommitmentAndTheNextHasAnother) {
  FakePool fake(long_job(2));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto first = *fake.do_lease(kMiner, miner());
  const auto second = *fake.do_lease(kMiner, miner());
  const auto third = *fake.do_lease(kMiner, miner());
  EXPECT_EQ(first.batch_commit, second.batch_commit);
  EXPECT_NE(second.batch_commit, third.batch_commit);
  EXPECT_NE(first.coin_commit, second.coin_commit);
}

// Nothing is said of a draw, nor looked at, before the last lease is committed.
TEST(Batches, AreNotDrawnWhileALeaseIsOpen) {
  FakePool fake(small_first(1, 3));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));  // proves the key: it may have two
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  const auto open = *fake.get_lease(kMiner);
  EXPECT_EQ(ask(fake, open), std::nullopt);
  EXPECT_FALSE(batch(fake, 1).draw);
  fake.abandon(kMiner, open, miner());
  EXPECT_EQ(batch(fake, 1).draw->reason, DrawReason::asked);
  EXPECT_EQ(batch(fake, 1).draw->tickets.size(), 1U);
  EXPECT_EQ(batch(fake, 1).settled, SettleOutcome::paid);
}

TEST(Batches, AreSettledWhenTheMinerAsks) {
  FakePool fake(small_first(2, 5));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  const auto first = *fake.do_lease(kMiner, miner());
  EXPECT_EQ(ask(fake, first), WireError::too_many) << "each batch costs a replay";
  const auto second = *fake.do_lease(kMiner, miner());
  EXPECT_EQ(second.batch_commit, first.batch_commit) << "nothing was remembered";
  EXPECT_EQ(ask(fake, second), std::nullopt);
  EXPECT_EQ(batch(fake, 1).settled, SettleOutcome::paid);
  // Asked again, there is nothing to settle; for a batch of somebody else, it is told so.
  const size_t records = fake.durable.size();
  EXPECT_EQ(ask(fake, second), std::nullopt);
  EXPECT_EQ(fake.durable.size(), records);
  fake.frame(kMiner, MessageType::settle, encode(Settle{filled(1), {}}));
  EXPECT_EQ(fake.error(), WireError::unknown_lease);
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(ask(fake, *fake.do_lease(kMiner, miner()), auditor()), WireError::bad_signature);
  EXPECT_FALSE(batch(fake, 2).draw) << "the draw would carry the miner's word";
}

// Who asks after every lease costs the pool no replay for each.
TEST(Batches, AreNoSmallerThanANewKeysHoweverOftenTheMinerAsks) {
  FakePool fake(small_first(5, 10));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  for (int i = 0; i < 30; ++i)
    ask(fake, *fake.do_lease(kMiner, miner()));
  EXPECT_EQ(fake.pool->totals().leases().audited, 6U);
}

TEST(Batches, AreSettledAfterALongIdleTime) {
  FakePool fake(long_job(5));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  fake.tick(verifier::kIdleLeases * 60'000 - 1);
  EXPECT_FALSE(batch(fake, 0).draw);
  fake.tick(1);
  EXPECT_EQ(batch(fake, 0).draw->reason, DrawReason::idle);
  EXPECT_EQ(batch(fake, 0).settled, SettleOutcome::paid);
}

TEST(Batches, AreSettledAtTheEndOfTheJobBeforeItFinishes) {
  FakePool fake(batches(50));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  fake.run_tasks = true;
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_FALSE(fake.job_state().ended());
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(batch(fake, 0).draw->reason, DrawReason::job_ended);
  EXPECT_EQ(batch(fake, 0).settled, SettleOutcome::paid);
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_EQ(fake.sum(), 0);
  EXPECT_TRUE(fake.kept.empty() || fake.kept.size() == 8);  // digests of the steps of two rounds
}

// A busy pool delays. It never pays what nobody has looked at.
TEST(Batches, WaitForTheirAudits) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  fake.run_tasks = false;
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  fake.tick(10'000'000);
  EXPECT_TRUE(batch(fake, 0).draw);
  EXPECT_FALSE(batch(fake, 0).settled);
  EXPECT_EQ(balance(fake, "account:alice"), 0);
  fake.run_held();
  EXPECT_EQ(batch(fake, 0).settled, SettleOutcome::paid);
}

TEST(Batches, WithAStolenLeaseThatIsDrawnAreForfeited) {
  FakePool fake(batches(1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto stolen = steal(fake, kMiner, miner());
  EXPECT_TRUE(fake.lease_state(stolen).wrong);
  EXPECT_NE(batch(fake, 0).settled, SettleOutcome::paid);
  EXPECT_EQ(balance(fake, "account:alice"), 0);
  // Found before its round was merged: the slot is given out again.
  EXPECT_FALSE(fake.job_state().slots[stolen.slot]);
  // The key waits. It is not banned: one fault may be its device's, and no proof was logged.
  EXPECT_FALSE(fake.get_lease(kMiner));
  EXPECT_FALSE(fake.pool->ledger().members().at(miner().public_key()).banned);
}

// §6: one failed ticket costs the written part of the batch, and no more.
TEST(Batches, WithOneFailedTicketAreFined) {
  FakeSetup how = long_job(4);
  const auto change = how.change;
  how.change = [change](verifier::Job& job) {
    change(job);
    job.audit.replays_ppm = 4'000'000;  // all of the batch
    job.audit.fail_ppm = 500'000;
  };
  FakePool fake(how);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  steal(fake, kMiner, miner());
  EXPECT_EQ(batch(fake, 0).settled, SettleOutcome::fined);
  EXPECT_EQ(fake.pool->totals().leases().paid, 2U);
}

TEST(Batches, AreAuditedAtOnceWhereTheirFirstLeasesAre) {
  FakePool fake(long_job(50, 1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  fake.run_tasks = false;
  const auto lease = *fake.do_lease(kMiner, miner());
  EXPECT_FALSE(fake.lease_state(lease).closed);
  fake.tick(lease.deadline_ms);  // the pool's own delay expires nothing
  EXPECT_FALSE(fake.lease_state(lease).closed);
  fake.run_held();
  EXPECT_EQ(fake.lease_state(lease).closed, CloseReason::complete);
  EXPECT_TRUE(fake.lease_state(lease).replayed);
}

TEST(Batches, GoOnAfterACrashAtAnyPoint) {
  FakePool fake(batches(2, 1));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  ASSERT_TRUE(fake.job_state().finished);
  const auto whole = fake.durable;
  const auto accounts = fake.pool->ledger().accounts();
  const KeptMap kept = fake.kept;
  for (size_t cut = whole.size(); cut-- > 0;) {
    const bool settled = whole[cut].kind == RecordKind::draw ||
                         whole[cut].kind == RecordKind::settle ||
                         whole[cut].kind == RecordKind::finish;
    if (!settled) continue;
    FakePool other(batches(2, 1));
    other.adopt(fake);
    other.start({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut)});
    ASSERT_EQ(other.join(kMiner, miner()), std::nullopt);
    while (other.do_lease(kMiner, miner())) {
    }
    EXPECT_TRUE(other.job_state().finished) << cut;
    EXPECT_EQ(other.pool->ledger().accounts(), accounts) << cut;
  }
}

// The secret that was kept opens what the lease committed to, and is gone when it is out.
TEST(Batches, RevealTheSecretsTheyCommittedTo) {
  FakePool fake(long_job(2));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const auto lease = *fake.get_lease(kMiner);
  EXPECT_TRUE(fake.kept.contains(lease.coin_commit));
  EXPECT_TRUE(fake.kept.contains(lease.batch_commit));
  fake.deliver(kMiner, lease, fake.work(lease, miner()));
  EXPECT_FALSE(fake.kept.contains(lease.coin_commit));
  EXPECT_EQ(verifier::coin_commit(fake.lease_state(lease).secret), lease.coin_commit);
  EXPECT_TRUE(fake.kept.contains(lease.batch_commit));
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_FALSE(fake.kept.contains(lease.batch_commit));
  EXPECT_EQ(verifier::coin_commit(batch(fake, 0).draw->s1), lease.batch_commit);
}

}  // namespace
}  // namespace gemmine::pool
