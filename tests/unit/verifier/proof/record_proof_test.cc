// Kinds 7, 8 and 9: what a pool signed and logged, against itself (PROTOCOL 12.8 – 12.10).
#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"
#include "verifier/proof/write_records.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {
namespace {

using test::convicts;
using test::decide;
using test::toy_identity;

constexpr uint64_t kAnswerMs = 500;

Digest digest_of(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

// A pool that logs a batch of two leases, draws it, and asks for tickets. Nothing of the work is
// looked at.
class RecordProof : public ::testing::Test {
 protected:
  struct Logged {
    Lease lease;
    std::vector<Statement> shares;
    std::vector<Digest> share_ids;
    Statement close;
    LeaseRecords records() const {
      LeaseRecords out{lease, {}, &close};
      for (const Statement& share : shares)
        out.shares.push_back(&share);
      return out;
    }
  };

  RecordProof() {
    Job job = test::toy_job();
    job.audit.threads = 1;
    job.audit.replays_ppm = 1'000'000;
    work_ = Work::make(job).value();
    batch_.push_back(log_lease(1));
    batch_.push_back(log_lease(2));
    draw_ = say(RecordKind::draw, gemmine::encode(DrawBody{.job_id = work_->id(),
                                                           .key = miner_.public_key(),
                                                           .batch = 0,
                                                           .leases = 2,
                                                           .reason = DrawReason::full,
                                                           .s1 = s1_,
                                                           .asked = {}}));
  }

  Lease make_lease(uint64_t serial) const {
    Lease lease;
    lease.job_id = work_->id();
    lease.miner_key = miner_.public_key();
    lease.serial = serial;
    lease.slot = static_cast<uint32_t>(serial % work_->job().spec.slots);
    lease.steps = work_->job().spec.steps_per_lease;
    lease.steps_per_share = work_->job().steps_per_share;
    lease.issued_ms = 1;
    lease.deadline_ms = 2;
    lease.coin_commit = coin_commit(digest_of(static_cast<uint8_t>(serial)));
    lease.batch_commit = coin_commit(s1_);
    sign(lease, pool_);
    return lease;
  }
  Logged log_lease(uint64_t serial) {
    Logged out{make_lease(serial), {}, {}, {}};
    for (uint32_t i = 0; i < out.lease.shares(); ++i) {
      Share share;
      share.lease_id = out.lease.id;
      share.index = i;
      sign(share, miner_);
      out.share_ids.push_back(share_id(share));
      out.shares.push_back(say(RecordKind::share, signed_body(encode(share))));
    }
    out.close = close(out.lease, digest_of(static_cast<uint8_t>(serial)));
    return out;
  }
  Statement close(const Lease& lease, const Digest& secret) {
    return say(RecordKind::close, gemmine::encode(CloseBody{.lease_id = lease.id,
                                                            .reason = CloseReason::complete,
                                                            .secret = secret,
                                                            .proof = {},
                                                            .abandon = {}}));
  }
  // The next record of the pool's ledger.
  Statement say(RecordKind kind, Bytes body) {
    const Record record{seq_++, time_ms_, kind, std::move(body)};
    Statement out{.kind = kind, .body = record.body, .receipt = {}};
    out.receipt.seq = record.seq;
    out.receipt.time_ms = record.time_ms;
    out.receipt.head_before = head_;
    SignedHead head = head_of(out.receipt, static_cast<uint8_t>(kind), out.body);
    sign(head, pool_);
    out.receipt.signature = head.signature;
    head_ = head.head;
    log_.push_back(record);
    return out;
  }
  Statement challenge(const Digest& lease_id, ChallengeWhy why, const Digest& question) {
    return say(RecordKind::challenge, gemmine::encode(ChallengeBody{.lease_id = lease_id,
                                                                    .why = why,
                                                                    .what = Asked::thread,
                                                                    .question = question,
                                                                    .answer_ms = kAnswerMs}));
  }
  Statement answer(const Digest& lease_id, uint64_t to) {
    return say(
        RecordKind::answer,
        gemmine::encode(AnswerBody{
            .lease_id = lease_id, .challenge = to, .address = {}, .bytes = 5, .signature = {}}));
  }
  Verdict verdict(AuditKind kind, Outcome outcome, const Digest& lease_id, const Digest& digest) {
    Verdict out;
    out.lease_id = lease_id;
    out.kind = kind;
    out.outcome = outcome;
    out.digest = digest;
    sign(out, pool_);
    return out;
  }
  Digest seed() const {
    std::vector<Digest> ids;
    for (const Logged& lease : batch_)
      ids.insert(ids.end(), lease.share_ids.begin(), lease.share_ids.end());
    return batch_seed(s1_, ids);
  }
  Bytes ticket_proof(const Statement& asked) const {
    const std::vector<LeaseRecords> leases = {batch_[0].records(), batch_[1].records()};
    return write_wrong_ticket(*work_, draw_, leases, asked);
  }

  Identity pool_ = toy_identity(1);
  Identity miner_ = toy_identity(2);
  std::optional<Work> work_;
  Digest s0_ = digest_of(99);
  Digest s1_ = coin_commit(s0_);
  Digest head_;
  uint64_t seq_ = 10;
  uint64_t time_ms_ = 1000;
  std::vector<Record> log_;
  std::vector<Logged> batch_;
  Statement draw_;
};

TEST_F(RecordProof, ConvictsASecretThatDoesNotOpenItsCommitment) {
  const Lease lease = make_lease(3);
  const Bytes file = write_wrong_secret(lease, close(lease, digest_of(4)));
  EXPECT_TRUE(decide(file).proven);
  EXPECT_TRUE(decide(file).against_pool);
  test::expect_no_flip_convicts(file, 5000);
  EXPECT_FALSE(convicts(write_wrong_secret(lease, close(lease, digest_of(3)))));
  EXPECT_FALSE(convicts(write_wrong_secret(lease, close(make_lease(5), digest_of(4)))));
}

TEST_F(RecordProof, ConvictsACoinThatIsUsedTwice) {
  const Lease one = make_lease(3);
  Lease other = make_lease(4);
  EXPECT_FALSE(convicts(write_used_twice(one, other)));
  EXPECT_FALSE(convicts(write_used_twice(one, one)));
  other.coin_commit = one.coin_commit;
  sign(other, pool_);
  EXPECT_TRUE(convicts(write_used_twice(one, other)));
  test::expect_no_flip_convicts(write_used_twice(one, other), 5000);
  other = make_lease(3);
  other.slot = 1 - other.slot;
  sign(other, pool_);
  EXPECT_TRUE(convicts(write_used_twice(one, other))) << "one serial";
  other = make_lease(4);
  other.miner_key = toy_identity(7).public_key();
  sign(other, pool_);
  EXPECT_TRUE(convicts(write_used_twice(one, other))) << "another key's batch";
  sign(other, miner_);
  EXPECT_FALSE(convicts(write_used_twice(one, other))) << "not the pool's lease";
}

TEST_F(RecordProof, ConvictsAChallengeThatTheLeasesCoinDoesNotGive) {
  const Logged& lease = batch_[0];
  const Digest seed = immediate_seed(digest_of(1), lease.share_ids);
  const Statement right =
      challenge(lease.lease.id, ChallengeWhy::immediate, ticket_seed(seed, lease.lease.id, 0));
  EXPECT_FALSE(decide(write_wrong_challenge(lease.records(), right)).proven);
  const Statement wrong = challenge(lease.lease.id, ChallengeWhy::immediate, digest_of(5));
  const Bytes file = write_wrong_challenge(lease.records(), wrong);
  EXPECT_TRUE(decide(file).proven);
  test::expect_no_flip_convicts(file, 3000);
}

TEST_F(RecordProof, ConvictsATicketThatTheDrawDoesNotGive) {
  const auto tickets = draw_tickets(work_->job().audit, 2, seed());
  ASSERT_EQ(tickets[0].kind, AuditKind::thread);
  const Digest drawn = batch_[tickets[0].lease].lease.id;
  const Digest other = batch_[1 - tickets[0].lease].lease.id;
  EXPECT_FALSE(
      decide(ticket_proof(challenge(drawn, ChallengeWhy::ticket, ticket_seed(seed(), drawn, 0))))
          .proven);
  const Bytes file =
      ticket_proof(challenge(other, ChallengeWhy::ticket, ticket_seed(seed(), other, 0)));
  EXPECT_TRUE(decide(file).proven) << decide(file).words;
  test::expect_no_flip_convicts(file, 3000);
  EXPECT_TRUE(decide(ticket_proof(challenge(drawn, ChallengeWhy::ticket, digest_of(6)))).proven);
  // A lease left out, or one that is none of the batch, changes the draw: it proves nothing.
  const Statement wrong = challenge(other, ChallengeWhy::ticket, ticket_seed(seed(), other, 0));
  const Logged foreign = log_lease(3);
  const std::vector<LeaseRecords> leases = {batch_[0].records(), foreign.records()};
  EXPECT_FALSE(convicts(write_wrong_ticket(*work_, draw_, leases, wrong)));
  const std::vector<LeaseRecords> swapped = {batch_[1].records(), batch_[0].records()};
  EXPECT_FALSE(convicts(write_wrong_ticket(*work_, draw_, swapped, wrong)));
}

TEST_F(RecordProof, ConvictsASecondDrawWithAnotherSecret) {
  const auto redraw = [&](const Digest& s0) {
    return say(RecordKind::redraw,
               gemmine::encode(RedrawBody{
                   .job_id = work_->id(), .key = miner_.public_key(), .batch = 0, .s0 = s0}));
  };
  const Digest key = pool_.public_key();
  EXPECT_FALSE(convicts(write_wrong_redraw(key, draw_, redraw(s0_))));
  const Bytes file = write_wrong_redraw(key, draw_, redraw(digest_of(1)));
  EXPECT_TRUE(convicts(file));
  test::expect_no_flip_convicts(file, 5000);
}

TEST_F(RecordProof, ConvictsAFalseValid) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  const uint32_t x = program.position(kernels::TensorKind::x, 1);
  test::ProvenLease cheat =
      test::toy_lease_of(test::BentEngine::Lie{.step = 1, .position = x, .byte = 5});
  const Bytes proof = cheat.block_proof(0, {.step = 1, .position = x});
  const Verdict word = verdict(AuditKind::replay, Outcome::valid, cheat.lease.id, {});
  const Bytes file = write_false_valid(word, proof);
  EXPECT_TRUE(decide(file).proven) << decide(file).words;
  test::expect_no_flip_convicts(file, 1500);
  // A thread that found nothing is no word about every bit, nor is a verdict on another lease.
  EXPECT_FALSE(convicts(
      write_false_valid(verdict(AuditKind::thread, Outcome::valid, cheat.lease.id, {}), proof)));
  EXPECT_FALSE(convicts(
      write_false_valid(verdict(AuditKind::replay, Outcome::valid, digest_of(1), {}), proof)));
  const Bytes honest = cheat.block_proof(0, {.step = 0, .position = x});
  EXPECT_FALSE(convicts(write_false_valid(word, honest)));
  EXPECT_FALSE(decide_proof(write_false_valid(word, file), {}).ok()) << "a proof within a proof";
  Verdict forged = word;
  sign(forged, miner_);
  forged.auditor_key = pool_.public_key();
  EXPECT_FALSE(convicts(write_false_valid(forged, proof)));
}

TEST_F(RecordProof, ConvictsAFalseInvalidThatGotWhatTheMinerSent) {
  test::ProvenLease honest = test::toy_lease_of({});
  const ShareRun& run = honest.runs[0];
  Verdict word = verdict(AuditKind::replay, Outcome::invalid, honest.lease.id, {});
  const auto file = [&](uint32_t step, const Digest& digest) {
    word.share_id = share_id(run.share);
    word.step = step;
    word.digest = digest;
    sign(word, pool_);
    return write_false_invalid(word, honest.accused(0), run.step_digests);
  };
  const Bytes convicting = file(1, run.step_digests[1]);
  EXPECT_TRUE(decide(convicting).proven) << decide(convicting).words;
  test::expect_no_flip_convicts(convicting, 1500);
  EXPECT_TRUE(decide(file(kNoStep, run.share.state_after)).proven);
  const ProofFinding open = decide(file(1, digest_of(3)));
  EXPECT_FALSE(open.proven);
  EXPECT_NE(open.words.find("a replay of step 1 decides"), std::string::npos) << open.words;
}

TEST_F(RecordProof, SaysWhatTheLedgerHasOfAnAnswer) {
  const Lease lease = batch_[0].lease;
  const Statement asked = challenge(lease.id, ChallengeWhy::ticket, digest_of(5));
  const size_t first = log_.size();
  const auto rest = [&] { return std::span<const Record>(log_).subspan(first); };
  time_ms_ += kAnswerMs;
  Statement last = say(RecordKind::fund, {});
  EXPECT_FALSE(convicts(write_silence(lease, asked, rest(), last.receipt.signature)))
      << "its time is not over";
  time_ms_ += 1;
  last = say(RecordKind::fund, {});
  const Bytes file = write_silence(lease, asked, rest(), last.receipt.signature);
  const ProofFinding finding = decide(file);
  EXPECT_TRUE(finding.proven) << finding.words;
  EXPECT_NE(finding.words.find("no fraud"), std::string::npos) << finding.words;
  test::expect_no_flip_convicts(file, 5000);
  EXPECT_FALSE(convicts(write_silence(lease, asked, rest().last(1), last.receipt.signature)))
      << "a record is left out";
}

TEST_F(RecordProof, AcquitsAMinerWhoAnswered) {
  const Lease lease = batch_[0].lease;
  const Statement asked = challenge(lease.id, ChallengeWhy::ticket, digest_of(5));
  const size_t first = log_.size();
  time_ms_ += kAnswerMs;
  (void)answer(lease.id, asked.receipt.seq);
  time_ms_ += 1;
  const Statement last = say(RecordKind::fund, {});
  EXPECT_FALSE(convicts(write_silence(lease, asked, std::span<const Record>(log_).subspan(first),
                                      last.receipt.signature)));
}

TEST_F(RecordProof, ConvictsAPoolThatDeniesAnAnswer) {
  const Lease lease = batch_[0].lease;
  const Statement asked = challenge(lease.id, ChallengeWhy::ticket, digest_of(5));
  const auto deny = [&] {
    return say(RecordKind::verdict,
               signed_body(encode(
                   verdict(AuditKind::unanswered, Outcome::undecided, lease.id, digest_of(5)))));
  };
  time_ms_ += kAnswerMs;
  const Digest key = pool_.public_key();
  EXPECT_TRUE(convicts(write_denied(key, asked, nullptr, deny()))) << "too early";
  const Statement answered = answer(lease.id, asked.receipt.seq);
  time_ms_ += 1;
  const Statement denied = deny();
  EXPECT_FALSE(convicts(write_denied(key, asked, nullptr, denied)));
  const Bytes file = write_denied(key, asked, &answered, denied);
  EXPECT_TRUE(decide(file).proven) << decide(file).words;
  test::expect_no_flip_convicts(file, 5000);
  const Statement late = answer(lease.id, asked.receipt.seq);
  EXPECT_FALSE(convicts(write_denied(key, asked, &late, deny()))) << "after its time";
}

}  // namespace
}  // namespace gemmine::verifier
