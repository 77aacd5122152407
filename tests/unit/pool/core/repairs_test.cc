// A lease whose delta makes training diverge: it is found, taken out, and the job goes on.
#include "pool/core/repairs.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {
namespace {

constexpr ConnId kThief{5};
constexpr ConnId kOther{6};

const verifier::Identity& thief() {
  static const auto identity = verifier::Identity::from_seed(filled(4));
  return identity;
}
const verifier::Identity& other() {
  static const auto identity = verifier::Identity::from_seed(filled(6));
  return identity;
}

// A learning rate at which four layers still learn, and large deltas are allowed.
FakeSetup fragile(uint32_t rounds) {
  FakeSetup out{.change =
                    [rounds](verifier::Job& job) {
                      job.spec.widths = {4, 128, 128, 128, 3};
                      job.spec.lr = 0.2F;
                      job.spec.feature_shift = -1.2F;
                      job.spec.steps_per_lease = 64;
                      job.spec.rounds = rounds;
                      job.steps_per_share = 8;
                      job.audit.delta_max = 3;
                      job.audit.batch_leases = 8;
                      job.audit.first_batch = 2;
                      job.audit.first_audits = 1;
                    },
                .auditors = {}};
  out.fund = 1'000'000'000'000'000'000;
  return out;
}

// As far from θ as a delta may be, in a direction drawn by `seed`.
Bytes far_away(const FakePool& fake, uint32_t seed) {
  const kernels::Program& program = fake.job_work().program();
  Bytes out(verifier::delta_bytes(program.parameters()));
  const size_t blocks = out.size() - program.parameters();
  for (size_t i = 0; i < blocks; ++i)
    out[i] = static_cast<uint8_t>(fake.job().audit.delta_max - 7);
  for (size_t i = 0; i < program.parameters(); ++i) {
    uint32_t h = (static_cast<uint32_t>(i) + seed * 999'983U) * 2'654'435'761U;
    h ^= h >> 15;
    h *= 2'246'822'519U;
    h ^= h >> 13;
    out[blocks + i] = static_cast<uint8_t>((h & 1) != 0 ? 127 : -127);
  }
  return out;
}

// A delta with which the first slot of the next round diverges.
Bytes find_poison(FakePool& fake, const verifier::Lease& lease) {
  const auto engine = fake.engine();
  const std::vector<float> base = fake.theta_of(lease.theta_root);
  verifier::Lease next = lease;
  ++next.round;
  next.slot = 0;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Bytes delta = far_away(fake, seed);
    const size_t blocks = delta.size() - base.size();
    std::vector<float> theta = base;
    const float unit = std::ldexp(1.0F, fake.job().audit.delta_max - 7) /
                       static_cast<float>(fake.job().spec.slots);
    for (size_t i = 0; i < theta.size(); ++i)
      theta[i] += unit * static_cast<float>(static_cast<int8_t>(delta[blocks + i]));
    const auto seen = verifier::find_divergence(*engine, {fake.job_work(), next, theta}, {},
                                                next.steps - 1, [] { return false; });
    if (seen.value().step != verifier::kNoStep) return delta;
  }
  ADD_FAILURE() << "no poison found";
  return far_away(fake, 0);
}

// Shares of nothing, and this delta.
void deliver_poison(FakePool& fake, const verifier::Lease& lease, const Bytes& delta) {
  const std::vector<float> theta = fake.theta_of(lease.theta_root);
  Digest last = verifier::start_root(fake.job_work().program(), theta);
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    verifier::Share share;
    share.lease_id = lease.id;
    share.index = i;
    share.first_step = lease.first_step(i);
    share.steps = lease.steps_of(i);
    share.macs = share.steps * fake.job_work().program().macs_per_step();
    const std::vector<Digest> steps(share.steps, filled(0x66));
    share.state_before = last;
    share.state_after = last = filled(static_cast<uint8_t>(i + 1));
    share.loss = 1;
    share.trace_root = verifier::trace_root(lease.id, share.first_step, steps);
    if (i + 1 == lease.shares()) share.delta_root = kernels::blake3(delta);
    verifier::sign(share, thief());
    fake.send_share(kThief, share, steps);
  }
  fake.send_delta(kThief, lease, delta);
}

// The miner runs a lease as far as it goes. True: to its end.
bool run_lease(FakePool& fake, ConnId id, const verifier::Identity& who,
               const verifier::Lease& lease) {
  const auto engine = fake.engine();
  const std::vector<float> theta = fake.theta_of(lease.theta_root);
  std::vector<float> state = verifier::start_state(fake.job_work().program(), theta);
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    uint32_t done = 0;
    auto run = verifier::run_share(*engine, {fake.job_work(), lease, theta}, i, state, &done);
    if (!run) {
      fake.abandon(id, lease, who, lease.first_step(i) + done);
      return false;
    }
    verifier::sign(run.value().share, who);
    fake.send_share(id, run.value().share, run.value().step_digests);
    state = run.value().state_after;
    if (i + 1 == lease.shares()) fake.send_delta(id, lease, run.value().delta);
  }
  return true;
}

struct Poisoned {
  explicit Poisoned(uint32_t rounds) : fake(fragile(rounds)) {
    EXPECT_EQ(fake.join(kMiner, miner()), std::nullopt);
    EXPECT_EQ(fake.join(kOther, other(), Role::miner, "bob"), std::nullopt);
    EXPECT_EQ(fake.join(kThief, thief(), Role::miner, "mallory"), std::nullopt);
    // The thief's first batch is right and paid: it is a proven key.
    for (int round = 0; round < 2; ++round) {
      EXPECT_TRUE(fake.do_lease(kThief, thief()));
      EXPECT_TRUE(fake.do_lease(kMiner, miner()));
    }
    bad = *fake.get_lease(kThief);
    poison = find_poison(fake, bad);
  }
  FakePool fake;
  verifier::Lease bad;
  Bytes poison;
};

TEST(Repair, TakesThePoisonOfAMergedLeaseOutAndTheJobGoesOn) {
  Poisoned s(5);
  FakePool& fake = s.fake;
  deliver_poison(fake, s.bad, s.poison);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  ASSERT_TRUE(fake.lease_state(s.bad).merged);
  const uint32_t round = fake.job_state().round;
  const Digest poisoned = fake.job_state().theta_roots.back();
  // One honest miner is in the middle of a lease when another's diverges.
  const auto first = *fake.get_lease(kMiner);
  const auto beside = *fake.get_lease(kOther);
  ASSERT_EQ(first.slot, 0U);
  ASSERT_FALSE(run_lease(fake, kMiner, miner(), first));
  for (int i = 0; i < 3; ++i)
    fake.tick(kAuditRetryMs);
  EXPECT_FALSE(fake.job_state().stopped);
  EXPECT_TRUE(fake.lease_state(s.bad).wrong);
  EXPECT_TRUE(fake.lease_state(s.bad).subtracted);
  EXPECT_EQ(fake.job_state().round, round);
  EXPECT_NE(fake.job_state().theta_roots.back(), poisoned);
  EXPECT_EQ(fake.lease_state(beside).closed, verifier::CloseReason::cancelled);
  EXPECT_FALSE(fake.pool->state().keys.at(other().public_key()).pause.left_ms(fake.now) > 0)
      << "nobody pauses for another's lease";
  for (int i = 0; i < 100 && !fake.job_state().finished; ++i) {
    fake.tick(60'000);
    for (const auto& [id, who] : {std::pair{kMiner, &miner()}, std::pair{kOther, &other()}}) {
      if (const auto lease = fake.get_lease(id)) run_lease(fake, id, *who, *lease);
    }
  }
  EXPECT_TRUE(fake.job_state().finished);
  EXPECT_FALSE(fake.job_state().stopped);
  EXPECT_TRUE(fake.pool->all_finished());
  uint64_t honest = 0;
  for (const auto& [id, state] : fake.pool->ledger().leases()) {
    if (state.closed != verifier::CloseReason::complete || state.wrong) continue;
    EXPECT_TRUE(state.paid);
    ++honest;
  }
  EXPECT_EQ(honest, 2U * 5U - 1U) << "all but the thief's, of a round that was merged";
  EXPECT_EQ(fake.sum(), 0);
}

}  // namespace
}  // namespace gemmine::pool
