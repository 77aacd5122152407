// Files that accuse a miner: heard from anybody, decided off the loop, and what follows from them.
#include "pool/core/proofs.h"

#include "tests/unit/pool/core/scene.h"
#include "verifier/proof/accuser.h"

namespace gemmine::pool {
namespace {

using verifier::Outcome;
using verifier::RecordKind;

// Honest work with a delta that does not follow from it.
FakePool::Work forged(FakePool& fake, const verifier::Lease& lease) {
  FakePool::Work out = fake.work(lease, miner());
  out.delta[out.delta.size() / 2] ^= 1;
  out.shares.back().delta_root = kernels::blake3(out.delta);
  verifier::sign(out.shares.back(), miner());
  return out;
}

// What anybody who has the job's data can write about it.
Bytes proof_of(FakePool& fake, const verifier::Lease& lease, const FakePool::Work& work) {
  const std::vector<float> published = fake.load(lease.theta_root);
  const std::vector<float> theta = fake.theta_of(lease.theta_root);
  const verifier::ClaimedShare claimed{work.shares.back(), work.runs.back().step_digests};
  const auto engine = fake.engine();
  const verifier::LeaseView at{fake.job_work(), lease, theta};
  const auto again = verifier::run_at_fault(*engine, at, claimed, {});
  const auto step =
      verifier::descend({.at = at,
                         .shares = work.shares,
                         .claimed = claimed,
                         .published = as_bytes(std::span<const float>(published)),
                         .train_records = fake.records(),
                         .train_tree = nullptr,
                         .delta = [&]() -> Result<Bytes> { return work.delta; }},
                        *engine, again.value().own, again.value().state_before, {}, nullptr);
  EXPECT_EQ(step.next, verifier::DescentStep::Next::accuse) << step.words;
  return step.proof;
}

std::optional<WireError> accuse(FakePool& fake, ConnId from, const Bytes& proof) {
  fake.inbox.clear();
  fake.frame(from, MessageType::accuse, encode(AccuseMessage{proof}));
  std::erase_if(fake.inbox, [&](const Outgoing& sent) { return sent.to != from; });
  return fake.error();
}

// Two leases of one batch, complete and unaudited, both with forged deltas.
struct Forger {
  Forger() : fake(batches(50)) {
    EXPECT_EQ(fake.join(kMiner, miner()), std::nullopt);
    EXPECT_EQ(fake.join(kAuditor, auditor(), Role::auditor), std::nullopt);
    for (int i = 0; i < 2; ++i) {
      leases.push_back(*fake.get_lease(kMiner));
      works.push_back(forged(fake, leases.back()));
      fake.deliver(kMiner, leases.back(), works.back());
      EXPECT_EQ(fake.lease_state(leases.back()).closed, verifier::CloseReason::complete);
    }
  }
  Bytes proof(size_t number) { return proof_of(fake, leases[number], works[number]); }

  FakePool fake;
  std::vector<verifier::Lease> leases;
  std::vector<FakePool::Work> works;
};

TEST(Accusations, ThatAreProofsAreLoggedAndServed) {
  Forger s;
  const Bytes proof = s.proof(0);
  EXPECT_EQ(accuse(s.fake, kAuditor, proof), std::nullopt);
  EXPECT_EQ(s.fake.count(RecordKind::proof), 1U);
  const verifier::LeaseState& state = s.fake.lease_state(s.leases[0]);
  EXPECT_EQ(state.proof, kernels::blake3(proof));
  ASSERT_TRUE(state.wrong);
  EXPECT_EQ(state.wrong->index, 1U);
  EXPECT_TRUE(s.fake.has_blob(*state.proof));
  EXPECT_TRUE(s.fake.pool->needed_blobs().contains(*state.proof));
  EXPECT_EQ(s.fake.count(RecordKind::ban), 0U);  // one fault may be the device's
}

TEST(Accusations, OfTwoLeasesOfABatchBanTheKey) {
  Forger s;
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(0)), std::nullopt);
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(1)), std::nullopt);
  EXPECT_EQ(s.fake.count(RecordKind::ban), 1U);
  EXPECT_TRUE(s.fake.pool->ledger().members().at(miner().public_key()).banned);
  EXPECT_EQ(s.fake.count(RecordKind::settle), 1U);
  EXPECT_FALSE(s.fake.lease_state(s.leases[0]).paid);
}

TEST(Accusations, AreTakenFromAMinerAndOnce) {
  Forger s;
  ASSERT_EQ(s.fake.join(ConnId{9}, auditor(6)), std::nullopt);
  EXPECT_EQ(accuse(s.fake, ConnId{9}, s.proof(0)), std::nullopt);
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(0)), std::nullopt);
  EXPECT_EQ(s.fake.count(RecordKind::proof), 1U);
  EXPECT_EQ(s.fake.count(RecordKind::verdict), 1U);
}

TEST(Accusations, ThatProveNothingChangeNothing) {
  Forger s;
  Bytes bent = s.proof(0);
  bent[bent.size() / 2] ^= 1;
  const size_t records = s.fake.durable.size();
  EXPECT_EQ(accuse(s.fake, kAuditor, bent), WireError::not_proven);
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(0)), WireError::busy);  // not at once
  EXPECT_EQ(s.fake.durable.size(), records);
  s.fake.tick(kAccuseAgainMs);
  EXPECT_EQ(accuse(s.fake, kAuditor, {1, 2, 3}), WireError::not_proven);
  s.fake.tick(kAccuseAgainMs);
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(0)), std::nullopt);
  EXPECT_TRUE(s.fake.lease_state(s.leases[0]).proof);
}

// A share that its miner signed and this pool never logged: true, and nothing to log it on.
TEST(Accusations, OfAShareThatIsNotLoggedAreRefused) {
  FakePool fake(batches(50));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_EQ(fake.join(kAuditor, auditor(), Role::auditor), std::nullopt);
  const verifier::Lease lease = *fake.get_lease(kMiner);
  fake.deliver(kMiner, lease, fake.work(lease, miner()));
  const Bytes proof = proof_of(fake, lease, forged(fake, lease));
  EXPECT_EQ(accuse(fake, kAuditor, proof), WireError::unknown_lease);
  EXPECT_FALSE(fake.lease_state(lease).wrong);
}

TEST(Accusations, WaitInABoundedQueue) {
  Forger s;
  s.fake.run_tasks = false;
  for (uint8_t i = 0; i < kAccusationsMax; ++i) {
    const ConnId id{100U + i};
    ASSERT_EQ(s.fake.join(id, auditor(static_cast<uint8_t>(50 + i)), Role::auditor), std::nullopt);
    EXPECT_EQ(accuse(s.fake, id, {i}), std::nullopt);
    EXPECT_EQ(accuse(s.fake, id, {i}), WireError::busy);  // one of each
  }
  const Bytes proof = s.proof(0);
  EXPECT_EQ(accuse(s.fake, kAuditor, proof), WireError::busy);
  EXPECT_EQ(s.fake.held.size(), kAccusationsMax);
  s.fake.run_held();
  EXPECT_EQ(accuse(s.fake, kAuditor, proof), std::nullopt);  // heard, whatever others said
  EXPECT_TRUE(s.fake.lease_state(s.leases[0]).proof);
}

TEST(Accusations, OutliveARestart) {
  Forger s;
  EXPECT_EQ(accuse(s.fake, kAuditor, s.proof(0)), std::nullopt);
  s.fake.start(std::vector(s.fake.durable));
  const verifier::LeaseState& state = s.fake.lease_state(s.leases[0]);
  ASSERT_TRUE(state.proof);
  EXPECT_TRUE(s.fake.has_blob(*state.proof));  // the start sweeps what is not needed
}

}  // namespace
}  // namespace gemmine::pool
