// A small pool in a test: keys, a job, and a ledger that is fed through LedgerState::apply.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
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
  job.audit = {.batch_leases = 3,
               .first_batch = 2,
               .threads = 1,
               .thread_blocks = 4,
               .replays_ppm = 1'000'000,
               .first_audits = 1,
               .now_ppm = 0,
               .fail_ppm = 500'000,
               .silent_free = 2,
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

  // Appends a record and, unless told not to, the post that must follow. Time goes on by 1 with
  // every record that was accepted. Returns what apply said.
  Status push(RecordKind kind, Bytes body, bool with_post = true) {
    Record record{state.next_seq(), time_ms, kind, std::move(body)};
    if (Status status = state.apply(record); !status) return status;
    ++time_ms;
    if (keep_records) records.push_back(std::move(record));
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

  MemberBody member(const Identity& who, std::string_view account, uint64_t counter) const {
    return sign_member(pool.public_key(), who, account, counter);
  }
  void begin(uint64_t escrow = 1'000'000) {
    must(RecordKind::genesis, encode(GenesisBody{pool.public_key(), "house"}));
    must(RecordKind::job, encode(JobBody{encode_job(job), theta(0)}));
    if (escrow > 0) must(RecordKind::fund, encode(FundBody{id, escrow}));
    must(RecordKind::member, encode(member(miner, "alice", 1)));
    must(RecordKind::member, encode(member(other, "bob", 1)));
  }

  static Digest theta(uint32_t round) { return filled(static_cast<uint8_t>(0xA0 + round)); }
  const JobState& job_state() const { return state.jobs().at(id); }
  const LeaseState& lease_state(const Lease& lease) const { return state.leases().at(lease.id); }
  int64_t gross() const { return static_cast<int64_t>(job_state().gross_per_lease); }

  // Secrets follow from what they are of, so that a test can tell them again.
  static Digest secret_of(const Lease& lease) {
    return kernels::blake3_keyed(filled(0x77), Writer().put(lease.serial).bytes());
  }
  static Digest s0_of(const Digest& key, uint64_t batch) {
    return kernels::blake3_keyed(filled(0x78), Writer().put_digest(key).put(batch).bytes());
  }
  static Digest s1_of(const Digest& key, uint64_t batch) { return coin_commit(s0_of(key, batch)); }
  // The batch that takes the key's next lease.
  uint64_t batch_with_room(const Digest& key) const {
    const KeyState* const found = state.key_state(id, key);
    if (found == nullptr) return 0;
    for (uint64_t i = 0; i < found->batches.size(); ++i) {
      const BatchState& batch = found->batches[i];
      if (!batch.draw && batch.open + batch.leases.size() < batch.size) return i;
    }
    return found->batches.size();
  }

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
    lease.batch_commit = coin_commit(s1_of(lease.miner_key, batch_with_room(lease.miner_key)));
    sign(lease, pool);
    return lease;
  }
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
  // A pool's verdict on the lease's last logged share.
  Verdict make_verdict(const Lease& lease, AuditKind kind, Outcome outcome) const {
    Verdict verdict;
    verdict.lease_id = lease.id;
    verdict.index = static_cast<uint32_t>(lease_state(lease).shares.size() - 1);
    verdict.share_id = lease_state(lease).shares.back().id;
    verdict.kind = kind;
    verdict.outcome = outcome;
    verdict.time_ms = time_ms;
    sign(verdict, pool);
    return verdict;
  }

  template <class T>
  static Bytes wrap(const T& record) {
    return signed_body(encode(record));
  }
  Lease lease(uint32_t slot, const Identity& to) {
    const Lease made = make_lease(slot, to);
    must(RecordKind::lease, wrap(made));
    return made;
  }
  void share(const Lease& lease, uint32_t index, const Identity& by) {
    must(RecordKind::share, wrap(make_share(lease, index, by)));
  }
  static Bytes close(const Lease& lease, CloseReason reason) {
    return encode(CloseBody{lease.id, reason, secret_of(lease), {}, {}});
  }
  static Bytes abandon(const Lease& lease, const Identity& by) {
    CloseBody body{lease.id, CloseReason::abandoned, secret_of(lease), {}, {}};
    body.abandon = by.sign(abandon_message(lease.id));
    return encode(body);
  }

  void replay(const Lease& lease, Outcome outcome = Outcome::valid) {
    Verdict verdict = make_verdict(lease, AuditKind::replay, outcome);
    if (outcome == Outcome::invalid) verdict.digest = filled(0x66);
    sign(verdict, pool);
    must(RecordKind::verdict, wrap(verdict));
  }
  uint64_t challenge(const Lease& lease, ChallengeWhy why, const Digest& seed) {
    must(RecordKind::challenge,
         encode(ChallengeBody{lease.id, why, Asked::thread, seed, job.audit.answer_ms}));
    return state.next_seq() - 1;
  }
  AnswerBody make_answer(const Lease& lease, uint64_t challenge, const Identity& by) const {
    AnswerBody body{lease.id, challenge, filled(0x55), 1000, {}};
    body.signature = by.sign(answer_message(body));
    return body;
  }
  void judge_thread(const Lease& lease, const Digest& seed, AuditKind kind, Outcome outcome) {
    Verdict verdict = make_verdict(lease, kind, outcome);
    verdict.digest = seed;
    sign(verdict, pool);
    must(RecordKind::verdict, wrap(verdict));
  }
  // A thread audit from challenge to verdict; undecided: the miner says nothing.
  void thread(const Lease& lease, ChallengeWhy why, const Digest& seed, Outcome outcome,
              const Identity& by) {
    const uint64_t seq = challenge(lease, why, seed);
    if (outcome == Outcome::undecided) {
      time_ms += job.audit.answer_ms;
      return judge_thread(lease, seed, AuditKind::unanswered, outcome);
    }
    must(RecordKind::answer, encode(make_answer(lease, seq, by)));
    judge_thread(lease, seed, AuditKind::thread, outcome);
  }
  // Logs a proof that the lease's miner signed wrong bits, and returns its address.
  Digest prove(const Lease& lease) {
    const Digest address = kernels::blake3(lease.id.view());
    must(RecordKind::proof, encode(ProofBody{ProofKind::block, lease.id, address, 100}));
    return address;
  }
  // The pool finds the lease wrong, with a proof.
  Digest convict(const Lease& lease) {
    const Digest address = prove(lease);
    Verdict verdict = make_verdict(lease, AuditKind::replay, Outcome::invalid);
    verdict.proof = address;
    sign(verdict, pool);
    must(RecordKind::verdict, wrap(verdict));
    return address;
  }

  // A lease with all its shares and its delta, open.
  Lease trained(uint32_t slot, const Identity& by) {
    const Lease made = lease(slot, by);
    for (uint32_t i = 0; i < made.shares(); ++i)
      share(made, i, by);
    must(RecordKind::delta, encode(DeltaBody{made.id, filled(0x44)}));
    return made;
  }
  Lease complete(uint32_t slot, const Identity& by) {
    const Lease made = trained(slot, by);
    if (const auto seed = state.immediate_audit(made.id, secret_of(made)))
      thread(made, ChallengeWhy::immediate, *seed, Outcome::valid, by);
    must(RecordKind::close, close(made, CloseReason::complete));
    return made;
  }
  Bytes merge(const std::vector<Lease>& leases, const std::vector<Digest>& subtracted = {}) const {
    std::vector<Digest> ids;
    ids.reserve(leases.size());
    for (const Lease& one : leases)
      ids.push_back(one.id);
    const uint32_t round = job_state().round;
    return encode(
        MergeBody{id, round, job_state().theta_roots.back(), theta(round + 1), ids, subtracted});
  }
  // Other weights for the current round, without these leases of earlier ones.
  Bytes repair(std::vector<Digest> subtracted) const {
    std::ranges::sort(subtracted);
    const Digest& before = job_state().theta_roots.back();
    return encode(
        MergeBody{id, job_state().round, before, kernels::blake3(before.view()), {}, subtracted});
  }
  std::vector<Digest> to_subtract() const {
    std::vector<Digest> out;
    for (const auto& [lease_id, seq] : job_state().to_subtract)
      out.push_back(lease_id);
    return out;
  }
  std::vector<Lease> round(const Identity& first, const Identity& second) {
    const std::vector<Lease> leases = {complete(0, first), complete(1, second)};
    must(RecordKind::merge, merge(leases));
    return leases;
  }

  BatchId batch_id(const Identity& of, uint64_t number) const {
    return {id, of.public_key(), number};
  }
  const BatchState& batch(const BatchId& of) const { return *state.batch(of); }
  Bytes draw(const BatchId& of, DrawReason reason) const {
    const auto leases = static_cast<uint32_t>(batch(of).leases.size());
    DrawBody out{of.job_id, of.key, of.number, leases, reason, s1_of(of.key, of.number), {}};
    const Identity& key = of.key == miner.public_key() ? miner : other;
    if (reason == DrawReason::asked) out.asked = key.sign(settle_message(batch(of).commit));
    return encode(out);
  }
  Bytes redraw(const BatchId& of) const {
    return encode(RedrawBody{of.job_id, of.key, of.number, s0_of(of.key, of.number)});
  }
  static Bytes settle(const BatchId& of, SettleOutcome outcome, uint32_t paid) {
    return encode(SettleBody{of.job_id, of.key, of.number, outcome, paid});
  }
  const Lease& ticket_lease(const BatchId& of, uint32_t ticket) const {
    const uint32_t place = batch(of).draw->tickets.at(ticket).ticket.lease;
    return state.leases().at(batch(of).leases.at(place)).lease;
  }
  // The verdict on a drawn ticket. A thread's undecided: silence.
  void judge(const BatchId& of, uint32_t ticket, Outcome outcome, const Identity& by) {
    const TicketState drawn = batch(of).draw->tickets.at(ticket);
    const Lease lease = ticket_lease(of, ticket);
    if (drawn.ticket.kind == AuditKind::replay) return replay(lease, outcome);
    thread(lease, ChallengeWhy::ticket, drawn.seed, outcome, by);
  }
  // Draws the batch, finds every ticket right, settles.
  void pay(const Identity& to, uint64_t number, DrawReason reason) {
    const BatchId of = batch_id(to, number);
    must(RecordKind::draw, draw(of, reason));
    for (uint32_t i = 0; i < batch(of).draw->tickets.size(); ++i)
      judge(of, i, Outcome::valid, to);
    settle_now(of);
  }
  // As the ledger says it must be settled.
  void settle_now(const BatchId& of) {
    const auto due = state.settlement(of);
    ASSERT_TRUE(due.ok()) << due.error().detail;
    must(RecordKind::settle,
         settle(of, due.value().outcome, static_cast<uint32_t>(due.value().paid.size())));
  }

  int64_t balance(const std::string& account) const {
    const auto found = state.accounts().find(account);
    return found == state.accounts().end() ? 0 : found->second;
  }
  int64_t escrow() const { return balance("escrow:" + to_hex(id.view())); }
  // What is left of so many leases' pay once the fee is taken.
  int64_t net(int64_t leases) const { return leases * (gross() - gross() / 10); }
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
  bool keep_records = true;
  uint64_t time_ms = 1'000;
  uint64_t next_serial = 0;
};

}  // namespace gemmine::verifier::test
