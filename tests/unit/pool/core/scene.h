// A miner and an auditor at a fake pool, in the middle of a lease: its first share is logged.
#pragma once

#include <gtest/gtest.h>

#include "pool/core/pool.h"
#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {

inline constexpr ConnId kMiner{1};
inline constexpr ConnId kAuditor{2};

inline const verifier::Identity& miner() {
  static const auto identity = verifier::Identity::from_seed(filled(3));
  return identity;
}
inline const verifier::Identity& auditor(uint8_t byte = 5) {
  static std::map<uint8_t, verifier::Identity> all;
  return all.try_emplace(byte, verifier::Identity::from_seed(filled(byte))).first->second;
}

// Batches of `leases`, of which one is replayed, after the first `first_audits` of a key at once.
inline FakeSetup batches(uint32_t leases, uint8_t first_audits = 0,
                         std::vector<Digest> auditors = {}) {
  return {.change =
              [=](verifier::Job& job) {
                job.audit.batch_leases = job.audit.first_batch = leases;
                job.audit.first_audits = first_audits;
              },
          .auditors = std::move(auditors)};
}

struct Scene {
  explicit Scene(FakeSetup how) : fake(std::move(how)) {
    EXPECT_EQ(fake.join(kMiner, miner()), std::nullopt);
    EXPECT_EQ(fake.join(kAuditor, auditor(), Role::auditor), std::nullopt);
    lease = *fake.get_lease(kMiner);
    work = fake.work(lease, miner());
    fake.send_share(kMiner, work, 0);
  }
  void second_share() { fake.send_share(kMiner, work, 1); }
  // The rest of the lease.
  void finish() {
    second_share();
    fake.send_delta(kMiner, lease, work.delta);
  }
  // Other bits in this share, as its miner would sign them; the steps are as they were.
  void spoil(uint32_t index) {
    work.shares[index].state_after.bytes[0] ^= 1;
    verifier::sign(work.shares[index], miner());
    if (index == 0) {
      work.shares[1].state_before = work.shares[0].state_after;
      verifier::sign(work.shares[1], miner());
    }
  }
  verifier::Verdict verdict(uint32_t index, verifier::Outcome outcome) const {
    verifier::Verdict out;
    out.lease_id = lease.id;
    out.index = index;
    out.share_id = verifier::share_id(work.shares[index]);
    out.outcome = outcome;
    // What a replay gets instead, as who lies would have it.
    if (outcome == verifier::Outcome::invalid) out.digest = filled(0x77);
    return out;
  }
  std::optional<WireError> say(verifier::Verdict verdict, uint8_t who = 5, ConnId id = kAuditor) {
    verifier::sign(verdict, auditor(who));
    fake.inbox.clear();
    fake.frame(id, MessageType::verdict, encode(VerdictMessage{encode(verdict)}));
    return fake.error();
  }
  bool hung_up(ConnId id) const {
    return std::ranges::any_of(fake.hangups, [&](const Hangup& h) { return h.to == id; });
  }
  const verifier::LeaseState& state() const { return fake.lease_state(lease); }
  bool banned() const { return fake.pool->ledger().members().at(miner().public_key()).banned; }

  FakePool fake;
  verifier::Lease lease;
  FakePool::Work work;
};

}  // namespace gemmine::pool
