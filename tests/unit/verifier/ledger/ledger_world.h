// A small pool in a test: keys, a job, and a ledger that is fed through LedgerState::apply.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "verifier/ledger/ledger.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier::test {

inline Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}
inline Identity identity(uint8_t byte) {
  return Identity::from_seed(filled(byte));
}

inline Job small_job() {
  Job job;
  job.name = "small";
  job.spec.widths = {8, 4, 3};
  job.spec.records = 50;
  job.spec.feature_scale = 0.5F;
  job.spec.lr = 0.1F;
  job.spec.beta1 = 0.9F;
  job.spec.batch = 4;
  job.spec.steps_per_lease = 5;
  job.spec.slots = 2;
  job.spec.rounds = 2;
  job.steps_per_share = 2;
  job.audit = {.replay_ppm = 1'000'000,
               .spot_ppm = 0,
               .spot_blocks = 4,
               .probation_shares = 2,
               .vest_leases = 1,
               .lease_ms = 60'000,
               .answer_ms = 1'000};
  job.price_per_tmac = uint64_t{1} << 40;
  job.fee_ppm = 100'000;
  return job;
}
inline constexpr uint64_t kSmallMacs = 4 * (4 * 8 * 2 + 3 * 4 * 3);  // a step of small_job

class World {
 public:
  explicit World(Job terms = small_job()) : job(std::move(terms)), id(job_id(encode_job(job))) {}

  // Appends a record and, unless told not to, the post that must follow. Returns what apply said.
  Status push(RecordKind kind, Bytes body, bool with_post = true) {
    Record record{state.next_seq(), ++time_ms, kind, std::move(body)};
    if (Status status = state.apply(record); !status) return status;
    records.push_back(std::move(record));
    if (!with_post || !state.expected_post()) return Ok{};
    return push(RecordKind::post, *state.expected_post());
  }
  void must(RecordKind kind, Bytes body) {
    const Status status = push(kind, std::move(body));
    ASSERT_TRUE(status.ok()) << status.error().detail;
  }
  // The error's detail has the words, and neither head nor balances have changed.
  void refuses(RecordKind kind, Bytes body, std::string_view words, Errc code = Errc::invalid) {
    const Digest head = state.head();
    const auto accounts = state.accounts();
    const uint64_t seq = state.next_seq();
    const Status status = push(kind, std::move(body));
    ASSERT_FALSE(status.ok()) << "accepted: " << words;
    EXPECT_NE(status.error().detail.find(words), std::string::npos) << status.error().detail;
    EXPECT_EQ(status.error().code, code) << status.error().detail;
    EXPECT_EQ(state.head(), head);
    EXPECT_EQ(state.accounts(), accounts);
    EXPECT_EQ(state.next_seq(), seq);
  }

  void begin(uint64_t escrow = 1'000'000) {
    must(RecordKind::genesis, genesis_body(pool.public_key(), "house"));
    must(RecordKind::job, job_body(encode_job(job), theta(0)));
    if (escrow > 0) must(RecordKind::fund, fund_body(id, escrow));
    must(RecordKind::member, member_word(miner, "alice"));
    must(RecordKind::member, member_word(other, "bob"));
  }

  Bytes member_word(const Identity& miner_key, std::string_view account,
                    uint64_t counter = 1) const {
    return gemmine::encode(sign_member(pool.public_key(), miner_key, account, counter));
  }

  static Digest theta(uint32_t round) { return filled(static_cast<uint8_t>(0xA0 + round)); }
  const JobState& job_state() const { return state.jobs().at(id); }
  const LeaseState& lease_state(const Digest& lease) const { return state.leases().at(lease); }

  Lease make_lease(uint32_t slot, const Identity& to) {
    Lease lease;
    lease.job_id = id;
    lease.miner_key = to.public_key();
    lease.round = state.jobs().contains(id) ? job_state().round : 0;
    lease.slot = slot;
    lease.serial = next_serial++;
    lease.theta_root = state.jobs().contains(id) ? job_state().theta_roots.back() : theta(0);
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    lease.issued_ms = time_ms;
    lease.deadline_ms = time_ms + job.audit.lease_ms;
    lease.coin_commit = coin_commit(secret_of(lease));
    sign(lease, pool);
    return lease;
  }
  Digest secret_of(const Lease& lease) const { return lease_secret(filled(0x77), lease.serial); }

  Share make_share(const Lease& lease, uint32_t index, const Identity& by) const {
    Share share;
    share.lease_id = lease.id;
    share.index = index;
    share.first_step = lease.first_step(index);
    share.steps = index < lease.shares() ? lease.steps_of(index) : 1;  // or one too many
    share.state_before = filled(static_cast<uint8_t>(index + 1));
    share.state_after = filled(static_cast<uint8_t>(index + 2));
    share.trace_root = filled(0x33);
    share.loss = 1.5F;
    share.macs = share.steps * kSmallMacs;
    if (index + 1 == lease.shares()) share.delta_root = filled(0x44);
    sign(share, by);
    return share;
  }
  Verdict make_verdict(const Lease& lease, uint32_t index, AuditKind kind, Outcome outcome) const {
    Verdict verdict;
    verdict.lease_id = lease.id;
    verdict.index = index;
    verdict.share_id = lease_state(verdict.lease_id).shares.at(index).id;
    verdict.kind = kind;
    verdict.outcome = outcome;
    verdict.time_ms = time_ms;
    sign(verdict, pool);
    return verdict;
  }

  template <class T>
  static Bytes wrap(const T& record) {
    return Writer().put_blob(encode(record)).take();
  }

  Lease lease(uint32_t slot, const Identity& to) {
    const Lease made = make_lease(slot, to);
    must(RecordKind::lease, wrap(made));
    return made;
  }
  void share(const Lease& lease, uint32_t index, const Identity& by) {
    must(RecordKind::share, wrap(make_share(lease, index, by)));
  }
  // What PROTOCOL 7.2 demands for a logged share.
  AuditKind required_audit(const Lease& lease, uint32_t index) const {
    const ShareState& share = state.leases().at(lease.id).shares.at(index);
    return audit_kind(job.audit, challenge_seed(secret_of(lease), share.id), share.valid_before);
  }
  // The verdict that it demands, if it does.
  void audit(const Lease& lease, uint32_t index) {
    const AuditKind kind = required_audit(lease, index);
    if (kind == AuditKind::none) return;
    must(RecordKind::verdict, wrap(make_verdict(lease, index, kind, Outcome::valid)));
  }
  Bytes close(const Lease& lease, CloseReason reason) const {
    return close_body(lease.id, reason, secret_of(lease));
  }
  // A lease with all shares and audits, open.
  Lease trained(uint32_t slot, const Identity& by) {
    const Lease made = lease(slot, by);
    for (uint32_t i = 0; i < made.shares(); ++i) {
      share(made, i, by);
      audit(made, i);
    }
    return made;
  }
  Lease complete(uint32_t slot, const Identity& by) {
    const Lease made = trained(slot, by);
    must(RecordKind::delta, delta_body(made.id, filled(0x44)));
    must(RecordKind::close, close(made, CloseReason::complete));
    return made;
  }
  void condemn(const Lease& lease) {
    must(RecordKind::verdict, wrap(make_verdict(lease, 0, AuditKind::replay, Outcome::invalid)));
  }
  Bytes merge(const std::vector<Lease>& leases) const {
    std::vector<Digest> ids;
    for (const Lease& one : leases)
      ids.push_back(one.id);
    const uint32_t round = job_state().round;
    return merge_body(id, round, theta(round + 1), ids);
  }
  void round(const Identity& first, const Identity& second) {
    const Lease a = complete(0, first);
    const Lease b = complete(1, second);
    must(RecordKind::merge, merge({a, b}));
  }

  int64_t balance(const std::string& account) const {
    const auto found = state.accounts().find(account);
    return found == state.accounts().end() ? 0 : found->second;
  }
  int64_t escrow() const { return balance("escrow:" + to_hex(id.view())); }
  int64_t vesting(const Identity& key) const {
    return balance("vesting:" + to_hex(key.public_key().view()));
  }
  int64_t sum() const {
    int64_t total = 0;
    for (const auto& [account, amount] : state.accounts())
      total += amount;
    return total;
  }

  Job job;
  Digest id;
  Identity pool = identity(1);
  Identity miner = identity(2);
  Identity other = identity(3);
  LedgerState state;
  std::vector<Record> records;
  uint64_t time_ms = 1'000;
  uint64_t next_serial = 0;
};

}  // namespace gemmine::verifier::test
