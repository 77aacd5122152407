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
                                       .what = verifier::ChallengeWhat::thread,
                                       .question = lease.id,
                                       .answer_ms = 1'000};
    return {body, receipt(verifier::RecordKind::challenge, encode(body))};
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
  join();  // again: the pool does not name it
  EXPECT_TRUE(state_.checkpoint.retired(one.id));
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
