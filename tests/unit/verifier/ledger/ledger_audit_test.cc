// What is asked, answered, found and proven (PROTOCOL 7, 8.5).
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::World;
using enum RecordKind;

ChallengeBody immediate(const World& w, const Lease& lease) {
  const auto seed = w.state.immediate_audit(lease.id, World::secret_of(lease));
  EXPECT_TRUE(seed.has_value());
  return {lease.id, ChallengeWhy::immediate, Asked::thread, seed.value_or(Digest{}),
          w.job.audit.answer_ms};
}

// Whoever is caught is as a new key again.
TEST(LedgerCoin, AuditsAKeyAtOnceUntilItsLeasesAreRightAgain) {
  World w;
  w.begin();
  const Lease first = w.trained(0, w.miner);
  ASSERT_TRUE(w.state.immediate_audit(first.id, World::secret_of(first)));
  w.replay(first);
  w.must(close, World::close(first, CloseReason::complete));
  const Lease second = w.trained(1, w.miner);
  EXPECT_FALSE(w.state.immediate_audit(second.id, World::secret_of(second)));
  w.must(close, World::close(second, CloseReason::complete));
  w.convict(second);
  const Lease third = w.trained(1, w.miner);
  EXPECT_TRUE(w.state.immediate_audit(third.id, World::secret_of(third)));
  w.refuses(close, World::close(third, CloseReason::complete), "lacks the valid verdict");
}

TEST(LedgerChallenge, AsksInTimeAndOnce) {
  World w;
  w.begin();
  const Lease empty = w.lease(0, w.miner);
  const ChallengeBody early{empty.id, ChallengeWhy::immediate, Asked::thread, filled(1),
                            w.job.audit.answer_ms};
  w.refuses(challenge, encode(early), "not open with its delta");
  const Lease lease = w.trained(1, w.other);
  const auto refuse = [&](auto change, std::string_view words) {
    ChallengeBody body = immediate(w, lease);
    change(body);
    w.refuses(challenge, encode(body), words);
  };
  refuse([](ChallengeBody& b) { b.lease_id = filled(1); }, "no such lease");
  refuse([](ChallengeBody& b) { --b.answer_ms; }, "less than answer_ms");
  refuse([](ChallengeBody& b) { b.what = Asked::nodes; }, "but a thread");
  refuse([](ChallengeBody& b) { b.why = ChallengeWhy::ticket; }, "no ticket");
  w.must(challenge, encode(immediate(w, lease)));
  refuse([](ChallengeBody&) {}, "asked before");
  refuse([](ChallengeBody& b) { b.question = filled(9); }, "has had its immediate challenge");
  const ChallengeBody descent{empty.id, ChallengeWhy::descent, Asked::chunks, filled(1),
                              w.job.audit.answer_ms};
  w.refuses(challenge, encode(descent), "no share");
}

TEST(LedgerChallenge, IsBoundedForALease) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  ChallengeBody body{lease.id, ChallengeWhy::descent, Asked::nodes, filled(1),
                     w.job.audit.answer_ms};
  for (uint32_t i = 0; i < kLeaseChallengesMax; ++i) {
    body.question.bytes[0] = static_cast<uint8_t>(i);
    body.question.bytes[1] = 7;
    w.must(challenge, encode(body));
  }
  body.question = filled(2);
  w.refuses(challenge, encode(body), "lease_challenges_max");
}

TEST(LedgerChallenge, ThatTheCoinDidNotDrawKeepsTheLeaseFromClosing) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  ChallengeBody unfair = immediate(w, lease);
  unfair.question = filled(9);
  w.must(challenge, encode(unfair));  // nobody can see it before the secret is out
  w.refuses(close, World::close(lease, CloseReason::complete), "not what the coin drew");
  w.refuses(close, World::abandon(lease, w.miner), "not what the coin drew");
}

TEST(LedgerAnswer, IsTheMinersOwnAndInTime) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  const Lease another = w.trained(1, w.other);
  const uint64_t seq = w.challenge(lease, ChallengeWhy::immediate, immediate(w, lease).question);
  AnswerBody body = w.make_answer(lease, seq, w.other);
  w.refuses(answer, encode(body), "not signed by the lease's miner");
  body = w.make_answer(lease, seq + 1, w.miner);
  w.refuses(answer, encode(body), "no such challenge");
  body = w.make_answer(another, seq, w.other);
  w.refuses(answer, encode(body), "on another lease");
  body = w.make_answer(lease, seq, w.miner);
  body.address = filled(0x56);
  w.refuses(answer, encode(body), "not signed by the lease's miner");
  body.address = filled(0x55);
  ++body.bytes;
  w.refuses(answer, encode(body), "not signed by the lease's miner");
  w.must(answer, encode(w.make_answer(lease, seq, w.miner)));
  w.refuses(answer, encode(w.make_answer(lease, seq, w.miner)), "was answered");
  const AnswerState& kept = *w.state.challenges().at(seq).answer;
  EXPECT_EQ(kept.address, filled(0x55));
  EXPECT_EQ(kept.bytes, 1000U);
}

TEST(LedgerVerdict, OfSilenceNeedsAChallengeAndItsTime) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  const Digest seed = immediate(w, lease).question;
  Verdict silence = w.make_verdict(lease, AuditKind::unanswered, Outcome::undecided);
  silence.digest = seed;
  sign(silence, w.pool);
  w.refuses(verdict, World::wrap(silence), "nobody asked");
  const uint64_t seq = w.challenge(lease, ChallengeWhy::immediate, seed);
  const uint64_t due = w.state.challenges().at(seq).due_ms();
  w.time_ms = due - 1;
  w.refuses(verdict, World::wrap(silence), "has not run out");
  Verdict wrong = silence;
  wrong.outcome = Outcome::invalid;
  sign(wrong, w.pool);
  w.refuses(verdict, World::wrap(wrong), "silence is not wrong");
  wrong.outcome = Outcome::valid;
  sign(wrong, w.pool);
  w.refuses(verdict, World::wrap(wrong), "silence decides nothing");
  w.time_ms = due;
  w.must(verdict, World::wrap(silence));
  w.refuses(verdict, World::wrap(silence), "has its verdict");
  w.refuses(answer, encode(w.make_answer(lease, seq, w.miner)), "has its verdict");
  w.refuses(close, World::close(lease, CloseReason::complete), "verdict that its coin demands");
  EXPECT_FALSE(w.lease_state(lease).wrong);
  w.replay(lease);  // which needs nothing of the miner
  w.must(close, World::close(lease, CloseReason::complete));
}

TEST(LedgerVerdict, OfAThreadNeedsTheAnswer) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  const Digest seed = immediate(w, lease).question;
  Verdict valid = w.make_verdict(lease, AuditKind::thread, Outcome::valid);
  valid.digest = seed;
  sign(valid, w.pool);
  w.refuses(verdict, World::wrap(valid), "nobody asked");
  const uint64_t seq = w.challenge(lease, ChallengeWhy::immediate, seed);
  w.refuses(verdict, World::wrap(valid), "has no answer");
  w.must(answer, encode(w.make_answer(lease, seq, w.miner)));
  Verdict silence = w.make_verdict(lease, AuditKind::unanswered, Outcome::undecided);
  silence.digest = seed;
  sign(silence, w.pool);
  w.time_ms += w.job.audit.answer_ms;
  w.refuses(verdict, World::wrap(silence), "was answered");
  w.must(verdict, World::wrap(valid));
  w.refuses(verdict, World::wrap(valid), "has its verdict");
  const ChallengeBody leaves{lease.id, ChallengeWhy::descent, Asked::nodes, filled(8),
                             w.job.audit.answer_ms};
  w.must(challenge, encode(leaves));
  w.must(answer, encode(w.make_answer(lease, w.state.next_seq() - 1, w.miner)));
  valid.digest = filled(8);
  sign(valid, w.pool);
  w.refuses(verdict, World::wrap(valid), "no thread's");
}

TEST(LedgerVerdict, ThatFindsNothingWrongIsOnTheWholeLease) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.share(lease, 0, w.miner);
  const Verdict half = w.make_verdict(lease, AuditKind::replay, Outcome::valid);
  w.refuses(verdict, World::wrap(half), "shares to come");
  w.share(lease, 1, w.miner);
  w.refuses(verdict, World::wrap(half), "another share than the lease's last");
  w.share(lease, 2, w.miner);
  const auto refuse = [&](auto change, std::string_view words) {
    Verdict bad = w.make_verdict(lease, AuditKind::replay, Outcome::valid);
    change(bad);
    sign(bad, w.pool);
    w.refuses(RecordKind::verdict, World::wrap(bad), words);
  };
  refuse([](Verdict& v) { v.index = 3; }, "not in the ledger");
  refuse([](Verdict& v) { v.lease_id = filled(1); }, "not in the ledger");
  refuse([](Verdict& v) { v.share_id = filled(1); }, "another share");
  refuse([](Verdict& v) { v.step = 0; }, "belong to invalid");
  refuse([](Verdict& v) { v.proof = filled(1); }, "belong to invalid");
  refuse([](Verdict& v) { v.digest = filled(1); }, "belongs to what is wrong");
  refuse([](Verdict& v) { v.outcome = Outcome::undecided; }, "a replay decides");
  Verdict forged = w.make_verdict(lease, AuditKind::replay, Outcome::valid);
  forged.signature[0] ^= 1;
  w.refuses(verdict, World::wrap(forged), "not signed");
}

TEST(LedgerVerdict, ThatAccusesStandsOnAProofOrOnWhatAReplayGot) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  const Lease another = w.trained(1, w.other);
  const Digest proof = w.prove(another);
  const auto refuse = [&](auto change, std::string_view words) {
    Verdict bad = w.make_verdict(lease, AuditKind::replay, Outcome::invalid);
    change(bad);
    sign(bad, w.pool);
    w.refuses(RecordKind::verdict, World::wrap(bad), words);
  };
  refuse([](Verdict&) {}, "neither a proof nor what a replay got");
  refuse(
      [](Verdict& v) {
        v.kind = AuditKind::thread;
        v.digest = filled(6);
      },
      "neither a proof");
  refuse([](Verdict& v) { v.proof = filled(6); }, "not logged");
  refuse([&](Verdict& v) { v.proof = proof; }, "about another lease");
  refuse([&](Verdict& v) { v.digest = w.lease_state(lease).shares[2].share.state_after; },
         "what the share says");
  refuse([](Verdict& v) { v.digest = filled(0x44); }, "what the share says");
  refuse(
      [](Verdict& v) {
        v.digest = filled(6);
        v.step = 3;
      },
      "not one of the share");
  refuse(
      [](Verdict& v) {
        v.digest = filled(6);
        v.step = 5;
      },
      "not one of the share");
  const Digest against_pool = filled(0x99);
  w.must(RecordKind::proof, encode(ProofBody{ProofKind::false_verdict, lease.id, against_pool, 9}));
  refuse([&](Verdict& v) { v.proof = against_pool; }, "not against a miner");
  Verdict good = w.make_verdict(lease, AuditKind::replay, Outcome::invalid);
  good.digest = filled(6);
  good.step = 4;
  sign(good, w.pool);
  w.must(verdict, World::wrap(good));
  EXPECT_EQ(w.lease_state(lease).wrong->step, 4U);
  EXPECT_FALSE(w.lease_state(lease).proof) << "wrong, and nothing that bans";
  w.replay(lease);
  EXPECT_TRUE(w.lease_state(lease).wrong) << "once wrong, always wrong";
  w.refuses(close, World::close(lease, CloseReason::complete), "found wrong");
  w.must(close, World::close(lease, CloseReason::cancelled));  // its slot goes on
}

TEST(LedgerVerdict, OfAStrangerDecidesNothing) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  Verdict slander = w.make_verdict(lease, AuditKind::replay, Outcome::invalid);
  slander.digest = filled(6);
  sign(slander, w.other);
  w.must(verdict, World::wrap(slander));
  EXPECT_FALSE(w.lease_state(lease).wrong);
  Verdict praise = w.make_verdict(lease, AuditKind::replay, Outcome::valid);
  sign(praise, w.other);
  w.must(verdict, World::wrap(praise));
  EXPECT_FALSE(w.lease_state(lease).replayed);
  w.refuses(close, World::close(lease, CloseReason::complete), "verdict that its coin demands");
  sign(praise, w.pool);
  w.must(verdict, World::wrap(praise));
  w.must(close, World::close(lease, CloseReason::complete));
}

TEST(LedgerProof, IsLoggedOnceAndAboutALease) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  const auto refuse = [&](ProofBody body, std::string_view words) {
    w.refuses(proof, encode(body), words);
  };
  refuse({ProofKind::block, lease.id, {}, 1}, "address is zero");
  refuse({ProofKind::block, filled(1), filled(2), 1}, "no such lease");
  refuse({ProofKind::update, {}, filled(2), 1}, "names no lease");
  w.must(proof, encode(ProofBody{ProofKind::equivocation, {}, filled(2), kProofBytesMax}));
  refuse({ProofKind::block, lease.id, filled(2), 1}, "already");
  EXPECT_EQ(w.state.proofs().at(filled(2)).kind, ProofKind::equivocation);
}

TEST(LedgerBan, NeedsTwoProvenLeasesOfOneBatch) {
  World w;
  w.begin();
  const Lease first = w.complete(0, w.miner);
  const Lease second = w.complete(1, w.miner);
  const Digest key = w.miner.public_key();
  const Digest proof = w.convict(second);
  w.refuses(ban, encode(BanBody{key, second.id, filled(9)}), "not logged");
  w.refuses(ban, encode(BanBody{key, second.id, proof}), "no two leases");
  Verdict bare = w.make_verdict(first, AuditKind::replay, Outcome::invalid);
  bare.digest = filled(6);
  sign(bare, w.pool);
  w.must(verdict, World::wrap(bare));
  w.refuses(ban, encode(BanBody{key, second.id, proof}), "no two leases");
  const Digest again = w.convict(first);
  w.refuses(ban, encode(BanBody{w.other.public_key(), second.id, proof}), "not one of this key");
  w.refuses(ban, encode(BanBody{filled(1), second.id, proof}), "no member");
  w.refuses(ban, encode(BanBody{key, second.id, again}), "about another lease");
  w.must(ban, encode(BanBody{key, second.id, proof}));
  EXPECT_TRUE(w.state.members().at(key).banned);
}

TEST(LedgerBan, OfOneLeaseProvenTwiceIsRefused) {
  World w;
  w.begin();
  const Lease lease = w.complete(0, w.miner);
  const Digest first = w.convict(lease);
  w.must(proof, encode(ProofBody{ProofKind::update, lease.id, filled(0x98), 5}));
  Verdict more = w.make_verdict(lease, AuditKind::replay, Outcome::invalid);
  more.proof = filled(0x98);
  sign(more, w.pool);
  w.must(verdict, World::wrap(more));
  EXPECT_EQ(w.lease_state(lease).proof, first);
  w.refuses(ban, encode(BanBody{w.miner.public_key(), lease.id, first}), "no two leases");
}

TEST(LedgerBan, LetsTheKeysOpenLeasesBeCancelledAndForfeitsWhatIsUnsettled) {
  World w;
  w.begin();
  const Lease first = w.complete(0, w.miner);
  const Lease second = w.complete(1, w.miner);
  w.convict(first);
  const Digest proof = w.convict(second);
  const Lease open = w.trained(0, w.miner);  // the slot is free again
  w.refuses(close, World::close(open, CloseReason::cancelled), "the job has not ended");
  w.must(ban, encode(BanBody{w.miner.public_key(), second.id, proof}));
  w.refuses(close, World::close(open, CloseReason::complete), "banned");
  w.must(close, World::close(open, CloseReason::cancelled));
  const BatchId batch = w.batch_id(w.miner, 0);
  w.refuses(draw, w.draw(batch, DrawReason::full), "banned");
  w.refuses(settle, World::settle(batch, SettleOutcome::paid, 2), "forfeited, 0");
  w.must(settle, World::settle(batch, SettleOutcome::forfeited, 0));
  EXPECT_EQ(w.balance("account:alice"), 0);
  EXPECT_EQ(w.job_state().unsettled_leases, 0U);
}

}  // namespace
}  // namespace gemmine::verifier
