// Answers that are spoiled on the way say nothing; answers that are signed and wrong are proofs,
// and of the honest nobody can make one.
#include <gtest/gtest.h>

#include "kernels/hash/opening.h"
#include "tests/support/thread_stage.h"
#include "verifier/audit/opening_codec.h"

namespace gemmine::verifier {
namespace {

using test::thread_seed;
using test::ThreadStage;

Job lease_of(kernels::Spec spec) {
  spec.steps_per_lease = 5;
  Job job =
      spec.architecture == kernels::Architecture::gpt ? test::toy_gpt_job(spec) : test::toy_job();
  job.spec = spec;
  job.steps_per_share = 2;
  return job;
}

struct Answered {
  explicit Answered(const Job& job, Bytes train)
      : stage(job, std::move(train)), ticket(stage.ticket(thread_seed(1), 6)) {
    answer = stage.prove(ticket).value();
    header = decode_thread_header(answer).value();
    plan = ThreadPlan::make(ticket, stage.data()).value();
    EXPECT_TRUE(plan->set_witnesses(header.features));
  }
  ThreadFinding check(ByteView bytes) const { return stage.check(ticket, bytes); }
  // Signs what the header now says, over digests that are the answer's.
  void sign_again(Bytes& bytes) {
    const ByteView digests = ByteView(bytes).subspan(header.bytes(), plan->digests() * 32);
    header.digests_root = kernels::blake3(digests);
    sign(header, stage.miner());
    std::ranges::copy(encode(header), bytes.begin());
  }
  // The chunks of the digests' string from the first to the last, as a claim shows them.
  Bytes all_digests(ByteView bytes) const {
    OpenedObject opened;
    opened.ranges = {{0, kernels::chunks_of(plan->digests() * 32)}};
    opened.bytes = bytes.subspan(header.bytes(), plan->digests() * 32);
    Writer out;
    put_chunks(out, opened);
    return out.take();
  }
  Finding judge(const UpdateClaim& claim) const {
    const uint32_t step = std::min(claim.step, stage.lease.steps - 1);
    return check_part(ticket, ticket.share_of(step), claim, stage.data());
  }

  ThreadStage stage;
  ThreadCase ticket;
  Bytes answer;
  ThreadHeader header;
  std::optional<ThreadPlan> plan;
};

Answered gpt_answer() {
  const Job job = lease_of(testing::toy_gpt());
  return Answered(job, testing::toy_tokens(job.spec));
}
Answered mlp_answer() {
  return Answered(lease_of(test::toy_spec(kernels::Optimiser::sgd)), test::toy_train());
}
constexpr auto kBoth = {&mlp_answer, &gpt_answer};

TEST(ThreadAnswer, IsUnusableWithAnyByteChanged) {
  for (const auto make : kBoth) {
    Answered answered = make();
    ASSERT_EQ(answered.check(answered.answer).outcome, ThreadOutcome::valid);
    uint32_t noise = 5;
    for (int i = 0; i < 150; ++i) {
      noise = noise * 1664525 + 1013904223;
      Bytes bad = answered.answer;
      // Half of them in the front, where the most is said in the fewest bytes.
      const size_t among = i % 2 == 0 ? answered.header.bytes() + 256 : bad.size();
      bad[(noise >> 4) % among] ^= static_cast<uint8_t>(1U << (noise & 7));
      const ThreadFinding finding = answered.check(bad);
      ASSERT_EQ(finding.outcome, ThreadOutcome::unusable) << finding.detail;
    }
  }
}

TEST(ThreadAnswer, IsUnusableCutOrWithMore) {
  const Answered answered = mlp_answer();
  for (const size_t size :
       {size_t{0}, size_t{40}, answered.header.bytes() - 1, answered.header.bytes() + 31,
        answered.answer.size() / 2, answered.answer.size() - 1}) {
    const ByteView cut = ByteView(answered.answer).first(size);
    EXPECT_EQ(answered.check(cut).outcome, ThreadOutcome::unusable) << size;
  }
  Bytes more = answered.answer;
  more.push_back(0);
  EXPECT_EQ(answered.check(more).outcome, ThreadOutcome::unusable);
}

TEST(ThreadAnswer, ToAnotherSeedIsUnusable) {
  const Answered answered = mlp_answer();
  const ThreadCase other = answered.stage.ticket(thread_seed(2), 6);
  EXPECT_EQ(answered.stage.check(other, answered.answer).outcome, ThreadOutcome::unusable);
}

TEST(ThreadAnswer, OfAnotherKeyIsUnusable) {
  Answered answered = mlp_answer();
  sign(answered.header, test::toy_identity(9));
  std::ranges::copy(encode(answered.header), answered.answer.begin());
  EXPECT_EQ(answered.check(answered.answer).outcome, ThreadOutcome::unusable);
}

// A digest that is signed and wrong convicts; with the honest ones the same claim acquits.
TEST(ThreadClaim, ConvictsOfAWrongDigestAndAcquitsOtherwise) {
  for (const auto make : kBoth) {
    Answered answered = make();
    const ThreadHeader honest = answered.header;
    const Bytes digests = answered.all_digests(answered.answer);
    const auto fibres = static_cast<uint32_t>(answered.plan->draw().fibres.size());
    for (uint32_t chain = 0; chain < fibres; ++chain)
      for (const uint32_t step : {0U, 1U, 4U, 5U}) {
        const bool last = step == answered.stage.lease.steps;
        const uint64_t number = last ? answered.plan->last_digest(chain)
                                     : answered.plan->digest_number(step, {chain, 0});
        Bytes lying = answered.answer;
        lying[honest.bytes() + number * 32 + 7] ^= 1;
        answered.sign_again(lying);
        const ThreadFinding finding = answered.check(lying);
        ASSERT_EQ(finding.outcome, ThreadOutcome::wrong) << finding.detail;
        ASSERT_TRUE(finding.update);
        UpdateClaim claim = *finding.update;
        EXPECT_EQ(claim.link.chain, chain);
        EXPECT_EQ(claim.step, step == 0 ? 0 : step - 1);
        EXPECT_EQ(answered.judge(claim).outcome, Outcome::invalid);
        claim.header = encode(honest);
        claim.digests = digests;
        const Finding acquitted = answered.judge(claim);
        EXPECT_EQ(acquitted.outcome, Outcome::valid) << acquitted.detail;
        answered.header = honest;
      }
  }
}

TEST(ThreadClaim, OfOtherBytesIsMalformed) {
  Answered answered = gpt_answer();
  Bytes lying = answered.answer;
  lying[answered.header.bytes() + answered.plan->digest_number(2, {0, 0}) * 32] ^= 1;
  answered.sign_again(lying);
  const UpdateClaim claim = answered.check(lying).update.value();
  ASSERT_EQ(answered.judge(claim).outcome, Outcome::invalid);
  EXPECT_EQ(answered.judge(gemmine::decode<UpdateClaim>(gemmine::encode(claim)).value()).outcome,
            Outcome::invalid);
  const auto spoiled = [&](auto spoil) {
    UpdateClaim other = claim;
    spoil(other);
    return answered.judge(other).outcome;
  };
  uint32_t noise = 3;
  for (int i = 0; i < 200; ++i) {
    noise = noise * 1664525 + 1013904223;
    const auto flip = [noise](Bytes& bytes) { bytes[(noise >> 6) % bytes.size()] ^= 1; };
    EXPECT_EQ(spoiled([&](UpdateClaim& c) { flip(c.header); }), Outcome::malformed);
    EXPECT_EQ(spoiled([&](UpdateClaim& c) { flip(c.state); }), Outcome::malformed);
    EXPECT_EQ(spoiled([&](UpdateClaim& c) { flip(c.digests); }), Outcome::malformed);
    EXPECT_EQ(spoiled([&](UpdateClaim& c) { flip(c.part); }), Outcome::malformed);
  }
  EXPECT_EQ(spoiled([](UpdateClaim& c) { ++c.step; }), Outcome::malformed);
  EXPECT_EQ(spoiled([](UpdateClaim& c) { ++c.link.chain; }), Outcome::malformed);
  EXPECT_EQ(spoiled([](UpdateClaim& c) { ++c.link.piece; }), Outcome::malformed);
}

// SGD bounds no scale, so the prover names where it is attained, and signs that.
TEST(ThreadWitness, ThatDoesNotAttainItsScaleConvicts) {
  Answered answered = mlp_answer();
  ASSERT_EQ(answered.header.features.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const ThreadHeader honest = answered.header;
    const ScaleWitness& witness = answered.plan->witnesses()[i];
    const Fibre& fibre = answered.plan->chains()[witness.draw.fibre].fibre;
    // Another feature of the same fibre follows the same chains, so the digests stay.
    if (witness.chain != witness.draw.fibre || fibre.cols.count < 2) continue;
    answered.header.features[i] =
        fibre.cols.first + (witness.feature - fibre.cols.first + 1) % fibre.cols.count;
    Bytes lying = answered.answer;
    answered.sign_again(lying);
    const ThreadFinding finding = answered.check(lying);
    EXPECT_EQ(finding.outcome, ThreadOutcome::wrong) << finding.detail;
    ASSERT_TRUE(finding.update);
    EXPECT_EQ(finding.update->step, witness.draw.step);
    EXPECT_EQ(answered.judge(*finding.update).outcome, Outcome::invalid);
    answered.header = honest;
  }
}

// A witness of a block is the prover's word: one that is not the opening's decides nothing.
TEST(ThreadWitness, OfABlockIsTheOneThatWasSigned) {
  Answered answered = gpt_answer();
  ++answered.header.claims[0].witness;
  Bytes lying = answered.answer;
  answered.sign_again(lying);
  EXPECT_EQ(answered.check(lying).outcome, ThreadOutcome::unusable);
}

}  // namespace
}  // namespace gemmine::verifier
