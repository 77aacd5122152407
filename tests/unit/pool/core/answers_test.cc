// Threads that the pool asks for: answered, not answered, answered with something else.
#include "pool/core/answers.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/answering.h"

namespace gemmine::pool {
namespace {

using verifier::BatchState;
using verifier::RecordKind;
using verifier::SettleOutcome;

constexpr uint64_t kAnswerMs = 1'000;

FakeSetup threads() {
  FakeSetup out = batches(1);
  const auto change = out.change;
  out.change = [change](verifier::Job& job) {
    change(job);
    job.audit.threads = 1;
    job.audit.thread_blocks = 4;
    job.audit.replays_ppm = 0;
    job.spec.rounds = 20;
  };
  out.always_threads = true;
  return out;
}

class Answers : public testing::Test {
 protected:
  explicit Answers(FakeSetup how = threads()) : fake_(std::move(how)) {
    EXPECT_EQ(fake_.join(kMiner, miner()), std::nullopt);
  }

  // A lease that is done, and what the pool asks about it.
  ChallengeMessage ask() {
    lease_ = *fake_.get_lease(kMiner);
    work_ = fake_.work(lease_, miner());
    fake_.deliver(kMiner, lease_, work_);
    const auto asked = fake_.receive(MessageType::challenge);
    GEMMINE_CHECK(asked);
    return decode<ChallengeMessage>(*asked).value();
  }
  Bytes prove(const ChallengeMessage& asked) {
    return thread_of(fake_, lease_, work_, asked.challenge.question, *fake_.engine(), true);
  }
  verifier::AnswerBody body(const ChallengeMessage& asked, const Bytes& answer) {
    return answer_body(lease_, asked, answer);
  }
  void say(const verifier::AnswerBody& said) {
    fake_.frame(kMiner, MessageType::answer, encode(AnswerMessage{said}));
  }
  void send_part(const ChallengeMessage& asked, const Bytes& answer, GroupRange range) {
    const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                                kernels::ChunkSource::of_bytes(answer));
    const kernels::ChunkRange chunks = range.chunks(answer.size());
    const ByteView bytes = ByteView(answer).subspan(range.offset(), range.bytes(answer.size()));
    const Part part{answer.size(),
                    range.first,
                    range.count,
                    tree.open(std::span(&chunks, 1)).value(),
                    {bytes.begin(), bytes.end()}};
    fake_.frame(kMiner, MessageType::upload, encode(Upload{lease_.id, asked.receipt.seq, part}));
  }
  void send(const ChallengeMessage& asked, const Bytes& answer) {
    say(body(asked, answer));
    for (uint64_t first = 0; first < groups_of(answer.size()); ++first)
      send_part(asked, answer, {first, 1});
  }
  const BatchState& batch() const {
    return *fake_.pool->ledger().batch({fake_.job_id(), miner().public_key(), 0});
  }
  bool replayed() const { return fake_.lease_state(lease_).replayed; }

  FakePool fake_;
  verifier::Lease lease_;
  FakePool::Work work_;
};

TEST_F(Answers, ThatAreRightArePaidFor) {
  const ChallengeMessage asked = ask();
  EXPECT_FALSE(batch().settled);
  EXPECT_GE(asked.challenge.answer_ms, kAnswerMs);
  send(asked, prove(asked));
  EXPECT_EQ(fake_.count(RecordKind::answer), 1U);
  EXPECT_EQ(batch().settled, SettleOutcome::paid);
  EXPECT_FALSE(replayed());
  EXPECT_TRUE(fake_.pool->state().answers.empty());
}

TEST_F(Answers, ThatDoNotComeAreSilence) {
  const ChallengeMessage asked = ask();
  fake_.tick(asked.challenge.answer_ms - 1);
  EXPECT_EQ(fake_.count(RecordKind::verdict), 0U);
  fake_.tick(1);
  EXPECT_EQ(fake_.count(RecordKind::verdict), 2U);
  EXPECT_TRUE(replayed()) << "drawn again, and silence is no fault";
  EXPECT_EQ(batch().settled, SettleOutcome::paid);
  say(body(asked, Bytes(100)));
  EXPECT_EQ(fake_.error(), WireError::not_challenged);
}

TEST_F(Answers, ThatMeanNothingAreSilence) {
  const ChallengeMessage asked = ask();
  send(asked, Bytes(100'000, 7));
  EXPECT_EQ(fake_.count(RecordKind::answer), 1U);
  EXPECT_TRUE(replayed());
  EXPECT_EQ(batch().settled, SettleOutcome::paid);
}

TEST_F(Answers, ThatAreWrongAreSettledByAReplay) {
  const ChallengeMessage asked = ask();
  const Bytes answer = prove(asked);
  fake_.intercept = [&](const Task& task) -> std::optional<TaskDone> {
    const auto* const thread = std::get_if<ThreadTask>(&task);
    if (thread == nullptr) return {};
    return ThreadDone{thread->lease.id,
                      thread->challenge,
                      {verifier::ThreadOutcome::wrong, "planted", 0, {}, {}}};
  };
  send(asked, answer);
  EXPECT_TRUE(replayed());
  EXPECT_EQ(batch().settled, SettleOutcome::paid) << "the replay is right";
}

TEST_F(Answers, AreAskedForAgainAfterAnotherLoginAndARestart) {
  const ChallengeMessage asked = ask();
  const Bytes answer = prove(asked);
  ASSERT_EQ(fake_.join(kAuditor, miner()), std::nullopt);
  const auto again = fake_.receive(MessageType::challenge);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, encode(asked));
  fake_.start(std::vector(fake_.durable));
  ASSERT_EQ(fake_.join(kMiner, miner()), std::nullopt);
  EXPECT_EQ(fake_.receive(MessageType::challenge), encode(asked));
  send(asked, answer);
  EXPECT_EQ(batch().settled, SettleOutcome::paid);
}

TEST_F(Answers, HaveTheirWholeTimeFromARestart) {
  const ChallengeMessage asked = ask();
  fake_.now += 10 * asked.challenge.answer_ms;  // nobody was there
  fake_.start(std::vector(fake_.durable));
  ASSERT_EQ(fake_.join(kMiner, miner()), std::nullopt);
  fake_.tick(asked.challenge.answer_ms - 1);
  EXPECT_EQ(fake_.count(RecordKind::verdict), 0U);
  send(asked, prove(asked));
  EXPECT_EQ(batch().settled, SettleOutcome::paid);
  EXPECT_FALSE(replayed());
}

TEST_F(Answers, AreNotAskedForOfALeaseThatIsReplayed) {
  FakeSetup both = threads();
  const auto change = both.change;
  both.change = [change](verifier::Job& job) {
    change(job);
    job.audit.replays_ppm = 1'000'000;
  };
  FakePool fake(both);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  const verifier::Lease lease = *fake.get_lease(kMiner);
  fake.deliver(kMiner, lease, fake.work(lease, miner()));
  EXPECT_EQ(fake.count(RecordKind::challenge), 0U);
  EXPECT_TRUE(fake.lease_state(lease).replayed);
}

// The immediate coin asks for a thread of a new key's first lease.
class AtOnce : public Answers {
 protected:
  static FakeSetup first() {
    FakeSetup out = threads();
    const auto change = out.change;
    out.change = [change](verifier::Job& job) {
      change(job);
      job.audit.first_audits = 1;
    };
    return out;
  }
  AtOnce() : Answers(first()) {}
  bool closed() const { return fake_.lease_state(lease_).closed.has_value(); }
};

TEST_F(AtOnce, ALeaseIsCompleteWithItsThread) {
  const ChallengeMessage asked = ask();
  EXPECT_EQ(asked.challenge.why, verifier::ChallengeWhy::immediate);
  EXPECT_FALSE(closed());
  send(asked, prove(asked));
  EXPECT_TRUE(closed());
  EXPECT_FALSE(replayed());
}

TEST_F(AtOnce, SilenceIsReplayed) {
  const ChallengeMessage asked = ask();
  fake_.tick(asked.challenge.answer_ms);
  EXPECT_TRUE(replayed());
  EXPECT_TRUE(closed());
}

TEST_F(AtOnce, NobodyWaitsForASlowLineLongerThanForALease) {
  const ChallengeMessage asked = ask();
  const uint64_t lease_ms = fake_.job().audit.lease_ms;
  ASSERT_GT(asked.challenge.answer_ms, lease_ms);
  fake_.tick(lease_ms - 1);
  EXPECT_FALSE(replayed());
  fake_.tick(1);
  EXPECT_TRUE(replayed());
  EXPECT_TRUE(closed());
  EXPECT_EQ(fake_.count(RecordKind::verdict), 1U) << "nobody was silent";
}

TEST_F(Answers, AreTakenOnlyFromWhoWasAsked) {
  const ChallengeMessage asked = ask();
  const Bytes answer(100);
  const auto refused = [&](verifier::AnswerBody said, WireError why) {
    say(said);
    EXPECT_EQ(fake_.error(), why);
  };
  verifier::AnswerBody said = body(asked, answer);
  said.signature[0] ^= 1;
  refused(said, WireError::bad_signature);
  said = body(asked, answer);
  said.challenge += 1;
  refused(said, WireError::not_challenged);
  said = body(asked, answer);
  said.bytes = uint64_t{1} << 32;
  refused(said, WireError::not_challenged);
  said.bytes = 0;
  refused(said, WireError::not_challenged);
  send_part(asked, answer, {0, 1});
  EXPECT_EQ(fake_.error(), WireError::not_challenged) << "a part before the word";
}

}  // namespace
}  // namespace gemmine::pool
