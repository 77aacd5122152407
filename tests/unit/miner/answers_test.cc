// Threads that a pool asks for, as the miner's state sees them.
#include "miner/answers.h"

#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

using pool::Level;

class AnswerScene : public Scene {
 protected:
  // A lease that is done and closed.
  verifier::Lease done() {
    const verifier::Lease out = lease();
    grant(out);
    for (uint32_t i = 0; i < out.shares(); ++i) {
      device(computed(out, i));
      accept(out, i);
    }
    close_lease(out);
    return out;
  }
  pool::ChallengeMessage challenge(const verifier::Lease& lease) {
    const verifier::ChallengeBody body{.lease_id = lease.id,
                                       .why = verifier::ChallengeWhy::ticket,
                                       .what = verifier::Asked::thread,
                                       .question = lease.id,
                                       .answer_ms = 1'000};
    return {body, receipt(verifier::RecordKind::challenge, encode(body)), {}};
  }
  ThreadAnswered answered(const pool::ChallengeMessage& asked) {
    return {{.lease_id = asked.challenge.lease_id,
             .challenge = asked.receipt.seq,
             .address = {},
             .bytes = 100},
            0.5};
  }
  void judge(const pool::ChallengeMessage& asked, verifier::AuditKind kind) {
    verifier::Verdict verdict;
    verdict.lease_id = asked.challenge.lease_id;
    verdict.kind = kind;
    verdict.digest = asked.challenge.question;
    verdict.outcome = kind == verifier::AuditKind::unanswered ? verifier::Outcome::undecided
                                                              : verifier::Outcome::valid;
    pool_says(pool::MessageType::verdict, pool::VerdictMessage{encode(verdict)});
  }
};

TEST_F(AnswerScene, ALeaseThatIsDoneIsKeptWithoutItsStates) {
  join();
  const verifier::Lease one = done();
  EXPECT_EQ(state_.find(one.id), nullptr);
  EXPECT_TRUE(state_.checkpoint.retired(one.id));
  EXPECT_FALSE(state_.checkpoint.load_state(one.id, 1, toy_.program.state_floats()).ok());
  EXPECT_TRUE(state_.checkpoint.load_share(one.id, 0).ok());
  EXPECT_TRUE(state_.checkpoint.thetas().empty());
  EXPECT_FALSE(state_.checkpoint.load_delta(one.id).ok());
}

TEST_F(AnswerScene, ALeaseIsKeptUntilItsBatchIsSettled) {
  join();
  const verifier::Lease one = done();
  batch_ = verifier::coin_commit(batch_);
  const verifier::Lease two = done();
  batch_ = verifier::coin_commit(batch_);
  const verifier::Lease three = done();
  join({}, {one.batch_commit, three.batch_commit});  // two was settled while we were away
  EXPECT_TRUE(state_.checkpoint.retired(one.id));
  EXPECT_FALSE(state_.checkpoint.load_lease(two.id).ok());
  const auto asked = challenge(three);
  pool_says(pool::MessageType::challenge, asked);
  settled(state_, std::vector{three.id});
  EXPECT_FALSE(state_.checkpoint.load_lease(three.id).ok());
  EXPECT_TRUE(state_.answers.empty());
  pool_says(pool::MessageType::round, pool::Round{job_id_, 1, theta_address(), true});
  EXPECT_FALSE(state_.checkpoint.load_lease(one.id).ok()) << "the job has finished";
}

TEST_F(AnswerScene, WhatIsDueFirstIsMadeFirstAndOneAtATime) {
  join();
  auto later = challenge(done());
  auto first = challenge(done());
  auto last = challenge(done());
  const auto ask = [&](pool::ChallengeMessage& asked, uint32_t within_ms) {
    asked.challenge.answer_ms = within_ms;
    asked.receipt = receipt(verifier::RecordKind::challenge, encode(asked.challenge));
    pool_says(pool::MessageType::challenge, asked);
  };
  forget();
  ask(later, 9'000);
  ask(last, 90'000);
  ask(first, 1'000);
  EXPECT_EQ(posted<AnswerThread>(), 1U);
  device(answered(later));
  ASSERT_EQ(posted<AnswerThread>(), 2U);
  EXPECT_EQ(std::get<AnswerThread>(all<Task>().back()).challenge, first.receipt.seq);
  EXPECT_LE(std::get<AnswerThread>(all<Task>().back()).within_ms, 500U);
  device(answered(first));
  EXPECT_EQ(posted<AnswerThread>(), 2U) << "two wait for the line";
  on_answer_sent(state_, first.receipt.seq);
  wait(1);
  EXPECT_EQ(posted<AnswerThread>(), 3U);
}

TEST_F(AnswerScene, ABoundOnTheDiskLetsTheOldestGo) {
  join();
  const verifier::Lease one = done();
  const verifier::Lease two = done();
  EXPECT_EQ(state_.checkpoint.forget_retired(uint64_t{1} << 30), 0U);
  EXPECT_EQ(state_.checkpoint.forget_retired(1 << 16), 0U);
  EXPECT_EQ(state_.checkpoint.forget_retired(0), 2U);
  EXPECT_FALSE(state_.checkpoint.load_lease(one.id).ok());
  EXPECT_FALSE(state_.checkpoint.load_lease(two.id).ok());
}

TEST_F(AnswerScene, AThreadIsProvenSaidAndForgottenWhenItIsJudged) {
  join();
  const auto asked = challenge(done());
  forget();
  pool_says(pool::MessageType::challenge, asked);
  EXPECT_EQ(posted<AnswerThread>(), 1U);
  pool_says(pool::MessageType::challenge, asked);
  EXPECT_EQ(posted<AnswerThread>(), 1U) << "asked again while it is proven";
  device(answered(asked));
  EXPECT_EQ(all<SendAnswer>().size(), 1U);
  pool_says(pool::MessageType::challenge, asked);
  EXPECT_EQ(all<SendAnswer>().size(), 2U) << "asked again by another connection";
  EXPECT_EQ(posted<AnswerThread>(), 1U);
  judge(asked, verifier::AuditKind::thread);
  EXPECT_TRUE(state_.answers.empty());
}

TEST_F(AnswerScene, AReplayOfTheLeaseEndsWhatIsAskedAboutIt) {
  join();
  const auto asked = challenge(done());
  pool_says(pool::MessageType::challenge, asked);
  judge(asked, verifier::AuditKind::replay);
  EXPECT_TRUE(state_.answers.empty());
  device(answered(asked));  // too late
  EXPECT_TRUE(all<SendAnswer>().empty());
}

TEST_F(AnswerScene, WhatIsNotHereIsNotAnswered) {
  join();
  verifier::Lease other = lease();
  pool_says(pool::MessageType::challenge, challenge(other));
  EXPECT_EQ(told("thread_refused", Level::error), 1U);
  EXPECT_TRUE(state_.answers.empty());
}

TEST_F(AnswerScene, AChallengeWithoutThePoolsSignatureIsNone) {
  join();
  pool::ChallengeMessage asked = challenge(done());
  asked.receipt.signature[0] ^= 1;
  pool_says(pool::MessageType::challenge, asked);
  EXPECT_EQ(all<Distrust>().size(), 1U);
  EXPECT_TRUE(state_.answers.empty());
}

TEST_F(AnswerScene, WeightsThatCannotBeHadAreAskedForLater) {
  join();
  const auto asked = challenge(done());
  no_weights_ = Error{Errc::busy, "planted"};
  pool_says(pool::MessageType::challenge, asked);
  EXPECT_EQ(posted<AnswerThread>(), 0U);
  no_weights_.reset();
  wait(Pause::kCeilingMs);
  EXPECT_EQ(posted<AnswerThread>(), 1U);
}

TEST_F(AnswerScene, AnAnswerThatDoesNotCheckEndsTheMiner) {
  join();
  const auto asked = challenge(done());
  pool_says(pool::MessageType::challenge, asked);
  device(AnswerFailed{asked.challenge.lease_id,
                      asked.receipt.seq,
                      Trouble::wrong_numbers,
                      {Errc::invalid, "a fibre does not check"}});
  EXPECT_TRUE(state_.ended);
  EXPECT_EQ(state_.ending.code, ExitCode::wrong_numbers);
}

}  // namespace
}  // namespace gemmine::miner
