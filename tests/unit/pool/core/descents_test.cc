// From a lease that is found wrong to a proof: a thief who answers, one who is silent, one who says
// something else, and a pool that is killed in between.
#include "pool/core/descents.h"

#include <gtest/gtest.h>

#include "pool/core/answers.h"
#include "tests/unit/pool/core/answering.h"
#include "tests/unit/verifier/proof/proof_world.h"

namespace gemmine::pool {
namespace {

using test::BentEngine;
using verifier::Asked;
using verifier::CloseReason;
using verifier::RecordKind;

constexpr uint64_t kAnswerMs = 1'000;

// Every lease is audited at once, in batches of so many.
FakeSetup watched(uint32_t leases) {
  FakeSetup out = batches(leases, 255);
  const auto change = out.change;
  out.change = [change](verifier::Job& job) {
    change(job);
    job.audit.thread_blocks = 2;
    job.spec.rounds = 20;
  };
  return out;
}

class Thief : public ::testing::Test {
 protected:
  explicit Thief(FakeSetup setup = watched(2)) : fake_(std::move(setup)) {
    fake_.descents = true;
    EXPECT_EQ(fake_.join(kMiner, miner()), std::nullopt);
  }

  std::unique_ptr<kernels::Engine> engine() const {
    return std::make_unique<BentEngine>(fake_.engine(), fake_.job_work().program(), lie_);
  }
  // A lease that is wrong by `lie_`, delivered.
  void cheat() {
    lease_ = *fake_.get_lease(kMiner);
    work_ = fake_.work(lease_, miner(), *engine());
    fake_.deliver(kMiner, lease_, work_);
  }
  std::optional<ChallengeMessage> asked() {
    const auto payload = fake_.receive(MessageType::challenge);
    if (!payload) return {};
    return decode<ChallengeMessage>(*payload).value();
  }
  // What his device says, as he committed to it.
  Bytes answer_to(const ChallengeMessage& message) {
    const auto machine = engine();
    if (message.challenge.what == Asked::thread)
      return thread_of(fake_, lease_, work_, message.challenge.question, *machine, false);
    const std::vector<float> theta = fake_.theta_of(lease_.theta_root);
    const auto question = decode<verifier::Question>(message.question).value();
    EXPECT_EQ(verifier::question_digest(question), message.challenge.question);
    const uint32_t share = question.step / lease_.steps_per_share;
    const auto stand = [&](uint32_t step) -> Result<verifier::ProverView> {
      EXPECT_TRUE(machine->load_state(work_.states[share], lease_.first_step(share)).ok());
      for (uint32_t h = lease_.first_step(share); h <= lease_.first_step(share) + step; ++h)
        EXPECT_TRUE(machine->run_step({lease_.round, lease_.slot, h}, nullptr).ok());
      return verifier::ProverView{.at = {fake_.job_work(), lease_, theta},
                                  .run = work_.runs[share],
                                  .state_before = work_.states[share],
                                  .state_after = work_.runs[share].state_after,
                                  .train_records = fake_.records(),
                                  .engine = *machine,
                                  .check_own = false};
    };
    return verifier::answer_question(fake_.job_work(), question, stand, work_.runs[share]).value();
  }
  void say(const ChallengeMessage& message, const Bytes& bytes) {
    fake_.frame(kMiner, MessageType::answer,
                encode(AnswerMessage{answer_body(lease_, message, bytes)}));
    const auto groups = static_cast<uint32_t>((bytes.size() + kGroupBytes - 1) / kGroupBytes);
    fake_.frame(
        kMiner, MessageType::upload,
        encode(Upload{lease_.id, message.receipt.seq, {bytes.size(), 0, groups, {}, bytes}}));
  }
  // To the end of the descent; how many questions it took.
  uint32_t answer_all() {
    uint32_t count = 0;
    for (auto next = asked(); next; next = asked()) {
      say(*next, answer_to(*next));
      ++count;
    }
    return count;
  }
  const verifier::LeaseState& state() const { return fake_.lease_state(lease_); }

  FakePool fake_;
  BentEngine::Lie lie_{.step = 2, .position = 0, .byte = 3};
  verifier::Lease lease_;
  FakePool::Work work_;
};

TEST_F(Thief, WhoAnswersIsProvenWrongAndRejected) {
  cheat();
  ASSERT_TRUE(state().wrong);
  EXPECT_FALSE(state().closed);  // until it is over
  EXPECT_LE(answer_all(), 3U);
  ASSERT_TRUE(state().proof);
  EXPECT_EQ(state().closed, CloseReason::rejected);
  EXPECT_TRUE(fake_.has_blob(*state().proof));
  const auto file = read_file(fake_.blob_path(*state().proof), 1 << 21);
  const auto finding = verifier::decide_proof(file.value(), fake_.identity().public_key());
  EXPECT_TRUE(finding.value().proven);
  EXPECT_EQ(finding.value().accused, miner().public_key());
  EXPECT_EQ(fake_.count(RecordKind::ban), 0U);
}

TEST_F(Thief, WhoMovesHisWeightsIsProvenWrongByAThread) {
  for (const uint32_t step : {0U, 1U, 2U}) {
    lie_ = {.step = step, .moves = 5};
    cheat();
    EXPECT_LE(answer_all(), 3U) << step;
    EXPECT_EQ(state().closed, CloseReason::rejected) << step;
    fake_.tick(100'000'000);
    if (step == 0) {
      ASSERT_EQ(fake_.count(RecordKind::ban), 0U);
    } else {
      ASSERT_EQ(fake_.count(RecordKind::ban), 1U);
      break;
    }
  }
}

TEST_F(Thief, WhoIsSilentLosesTheLeaseAndIsNeverBanned) {
  for (int i = 0; i < 3; ++i) {
    cheat();
    ASSERT_TRUE(state().wrong) << i;
    EXPECT_FALSE(state().closed);
    const auto question = asked();
    ASSERT_TRUE(question);
    EXPECT_LT(question->challenge.answer_ms, 10 * kAnswerMs);  // a slot is not held for long
    fake_.tick(question->challenge.answer_ms);
    EXPECT_EQ(state().closed, CloseReason::cancelled);
    fake_.tick(100'000'000);
  }
  EXPECT_EQ(fake_.count(RecordKind::proof), 0U);
  EXPECT_EQ(fake_.count(RecordKind::ban), 0U);
}

TEST_F(Thief, WhoSaysSomethingElseIsAsGoodAsSilent) {
  cheat();
  const auto question = asked();
  ASSERT_TRUE(question);
  Bytes other = answer_to(*question);
  other.back() ^= 1;
  say(*question, other);
  EXPECT_EQ(state().closed, CloseReason::cancelled);
  EXPECT_EQ(fake_.count(RecordKind::challenge), 1U);
  EXPECT_EQ(fake_.count(RecordKind::proof), 0U);
}

TEST_F(Thief, IsAskedOnByAPoolThatWasKilled) {
  for (uint32_t answers = 0; answers < 2; ++answers) {
    lie_ = {.step = answers, .moves = 5};
    cheat();
    for (uint32_t i = 0; i < answers; ++i) {
      const auto question = asked();
      ASSERT_TRUE(question);
      say(*question, answer_to(*question));
    }
    const size_t challenges = fake_.count(RecordKind::challenge);
    fake_.start(std::vector(fake_.durable));
    fake_.inbox.clear();
    ASSERT_EQ(fake_.join(kMiner, miner()), std::nullopt);
    EXPECT_EQ(fake_.count(RecordKind::challenge), challenges);  // the same question
    EXPECT_FALSE(state().closed);
    answer_all();
    EXPECT_EQ(state().closed, CloseReason::rejected) << answers;
    fake_.tick(100'000'000);
  }
}

// A complete lease, found wrong by its ticket: its batch waits for what comes out.
class ThiefOfABatch : public Thief {
 protected:
  ThiefOfABatch() : Thief(batches(1)) {}
};

TEST_F(ThiefOfABatch, IsSettledAfterTheDescent) {
  cheat();
  EXPECT_EQ(state().closed, CloseReason::complete);
  ASSERT_TRUE(state().wrong);
  EXPECT_EQ(fake_.count(RecordKind::settle), 0U);
  EXPECT_LE(answer_all(), 3U);
  EXPECT_TRUE(state().proof);
  EXPECT_EQ(fake_.count(RecordKind::settle), 1U);
  EXPECT_FALSE(state().paid);
}

TEST_F(ThiefOfABatch, IsSettledWithoutAProofWhenHeIsSilent) {
  cheat();
  ASSERT_TRUE(state().wrong);
  fake_.tick(kAnswerMs * 1000);
  EXPECT_FALSE(state().proof);
  EXPECT_EQ(fake_.count(RecordKind::settle), 1U);
  EXPECT_FALSE(state().paid);
}

}  // namespace
}  // namespace gemmine::pool
