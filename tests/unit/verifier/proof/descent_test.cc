// From a replay that differs to a proof, with at most three answers of the miner (PROTOCOL 12.11).
#include "verifier/proof/descent.h"

#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"

namespace gemmine::verifier {
namespace {

using test::BentEngine;
using test::ProvenLease;

// Plays both sides: `honest` is the accuser's replay, `cheat` answers what it committed to.
struct Play {
  Descent::Stage stage = Descent::Stage::helpless;
  uint32_t questions = 0;
  std::string why;
  Bytes proof;
  uint32_t step = kNoStep;
};

Play play(ProvenLease& cheat, ProvenLease& honest, uint32_t share,
          uint64_t answer_max = kAnswerBytesMax) {
  const ShareRun& lied = cheat.runs[share];
  const auto stand_cheat = [&](uint32_t step) -> Result<ProverView> {
    return cheat.stand(share, step);
  };
  const DescentCase at{
      .at = cheat.at(),
      .share = lied.share,
      .digests = lied.step_digests,
      .own = honest.runs[share],
      .stand = [&](uint32_t step) -> Result<ProverView> { return honest.stand(share, step); },
      .published = cheat.published_bytes,
      .delta = lied.delta};
  Descent descent(at, answer_max);
  for (int i = 0; descent.stage() == Descent::Stage::asking && i < 10; ++i) {
    auto bytes = answer_question(cheat.work, descent.question(), stand_cheat, lied);
    EXPECT_TRUE(bytes.ok()) << bytes.error().detail;
    EXPECT_LE(bytes.value().size(), answer_max);
    SignedAnswer answer{.bytes = std::move(bytes.value()), .challenge_seq = 5, .signature = {}};
    answer.signature = cheat.miner.sign(answer_message(cheat.lease.id, answer));
    const Status taken = descent.take(answer);
    EXPECT_TRUE(taken.ok()) << taken.error().detail;
  }
  return {descent.stage(), descent.questions_asked(), descent.why(),
          descent.stage() == Descent::Stage::proven ? descent.proof() : Bytes{},
          descent.wrong_step()};
}

void expect_proven(const Play& play, uint32_t step, const std::string& what) {
  EXPECT_EQ(play.stage, Descent::Stage::proven) << what << ": " << play.why;
  EXPECT_LE(play.questions, 3U) << what;
  EXPECT_EQ(play.step, step) << what;
  EXPECT_LT(play.proof.size(), 1'000'000U) << what;
  EXPECT_TRUE(test::convicts(play.proof)) << what;
}

std::string name_of(const kernels::Program& program, uint32_t position) {
  const auto& tensor = program.tensors()[position];
  return std::string(kernels::tensor_name(tensor.kind)) + "_" + std::to_string(tensor.layer);
}

// A wrong byte of every tensor, in a share's first step: there the weights are the state's.
void expect_every_tensor(const Job& job, const Bytes& train, uint64_t answer_max) {
  ProvenLease honest(job, train, {});
  const auto& tensors = honest.program().tensors();
  for (uint32_t p = 0; p < tensors.size(); ++p) {
    const uint64_t byte = tensors[p].bytes() / 2 / 4 * 4;
    ProvenLease cheat(job, train, BentEngine::Lie{.step = 0, .position = p, .byte = byte});
    if (cheat.runs[0].share.trace_root == honest.runs[0].share.trace_root) continue;
    expect_proven(play(cheat, honest, 0, answer_max), 0, name_of(honest.program(), p));
  }
}

TEST(Descent, ProvesAWrongByteOfEveryTensorOfAnMlp) {
  expect_every_tensor(test::toy_job(), test::toy_train(), kAnswerBytesMax);
}

TEST(Descent, ProvesAWrongByteOfEveryTensorOfALanguageModel) {
  for (const auto& spec : {testing::toy_gpt(), testing::toy_gpt_tied()}) {
    Job job = test::toy_gpt_job(spec);
    job.spec.steps_per_lease = 2;
    job.spec.warmup = 1;
    expect_every_tensor(job, testing::toy_tokens(job.spec), kAnswerBytesMax);
  }
}

TEST(Descent, ProvesALargerScaleByTheWitnessThatTheMinerNames) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  ProvenLease honest = test::toy_lease_of({});
  const uint32_t position = program.position(kernels::TensorKind::sx, 1);
  const float scale = [&] {
    (void)honest.stand(0, 1);
    const Bytes bytes = honest.engine->read_tensor(position).value();
    return floats_of(ByteView(bytes).first(4))[0];
  }();
  // One exponent up: whatever bit that takes.
  const auto bits = std::bit_cast<uint32_t>(scale);
  const uint32_t flip = bits ^ std::bit_cast<uint32_t>(scale * 2);
  for (uint64_t byte : {2U, 3U}) {
    const auto mask = static_cast<uint8_t>(flip >> (8 * byte));
    if (mask == 0 || (flip & ~(0xffU << (8 * byte))) != 0) continue;
    ProvenLease cheat = test::toy_lease_of(
        BentEngine::Lie{.step = 1, .position = position, .byte = byte, .flip = mask});
    expect_proven(play(cheat, honest, 0), 1, "sx");
  }
}

TEST(Descent, CutsLongTensorsIntoLevels) {
  const Job job = test::toy_gpt_job(testing::toy_gpt());
  const Bytes tokens = testing::toy_tokens(job.spec);
  ProvenLease honest(job, tokens, {});
  const uint32_t x = honest.program().position(kernels::TensorKind::x, 3);
  ProvenLease cheat(job, tokens, BentEngine::Lie{.step = 1, .position = x, .byte = 3000});
  const uint64_t roots = honest.program().tensors().size() * 32 + 4;
  const uint64_t chunks = node_count(honest.program().tensors()[x].bytes(), 0);
  ASSERT_GT(chunks, 4U);
  // Room for the roots and, of the tensor's nodes, for fewer than its chunks.
  const Play whole = play(cheat, honest, 0);
  expect_proven(whole, 1, "one level");
  ProvenLease deep(job, tokens, BentEngine::Lie{.step = 1, .position = x, .byte = 3000});
  expect_proven(play(deep, honest, 0, kQuestionBytes + std::max(roots, chunks * 16)), 1, "two");
}

TEST(Descent, ProvesAForgedDelta) {
  ProvenLease honest = test::toy_lease_of({});
  ProvenLease cheat = test::toy_lease_of({});
  ShareRun& last = cheat.runs.back();
  last.delta[last.delta.size() / 2] ^= 1;
  last.share.delta_root = kernels::blake3(last.delta);
  sign(last.share, cheat.miner);
  const Play end = play(cheat, honest, static_cast<uint32_t>(cheat.runs.size() - 1));
  EXPECT_EQ(end.stage, Descent::Stage::proven) << end.why;
  EXPECT_EQ(end.questions, 0U);
}

TEST(Descent, FindsTheUpdateThatIsWrong) {
  // Honest work on other weights after step 0: the first step whose W shows it is step 1.
  ProvenLease honest = test::toy_lease_of({});
  const uint32_t w = honest.program().position(kernels::TensorKind::w, 1);
  ProvenLease cheat = test::toy_lease_of(BentEngine::Lie{.step = 1, .position = w, .byte = 70});
  const Play end = play(cheat, honest, 0);
  EXPECT_EQ(end.stage, Descent::Stage::fibre) << end.why;
  EXPECT_LE(end.questions, 2U);
}

TEST(Descent, FindsTheParametersOfAForgedEnd) {
  ProvenLease honest = test::toy_lease_of({});
  ProvenLease cheat = test::toy_lease_of({});
  ShareRun& first = cheat.runs[0];
  first.state_after[700] += 1;
  first.share.state_after = state_root(first.state_after);
  sign(first.share, cheat.miner);
  const Play end = play(cheat, honest, 0);
  EXPECT_EQ(end.stage, Descent::Stage::fibre) << end.why;
  EXPECT_EQ(end.questions, 1U);
}

TEST(Descent, ProvesNothingAgainstAnHonestMiner) {
  ProvenLease honest = test::toy_lease_of({});
  ProvenLease again = test::toy_lease_of({});
  EXPECT_EQ(play(again, honest, 0).stage, Descent::Stage::helpless);
  // An accuser whose own device is at fault.
  for (uint32_t p = 0; p < honest.program().tensors().size(); ++p) {
    ProvenLease faulty = test::toy_lease_of(BentEngine::Lie{.step = 1, .position = p, .byte = 4});
    EXPECT_NE(play(honest, faulty, 0).stage, Descent::Stage::proven) << p;
  }
}

TEST(Descent, TakesNoAnswerThatTheMinerDidNotCommitTo) {
  ProvenLease honest = test::toy_lease_of({});
  const uint32_t x = honest.program().position(kernels::TensorKind::x, 1);
  ProvenLease cheat = test::toy_lease_of(BentEngine::Lie{.step = 1, .position = x, .byte = 4});
  const DescentCase at{
      .at = cheat.at(),
      .share = cheat.runs[0].share,
      .digests = cheat.runs[0].step_digests,
      .own = honest.runs[0],
      .stand = [&](uint32_t step) -> Result<ProverView> { return honest.stand(0, step); },
      .published = cheat.published_bytes,
      .delta = {}};
  Descent descent(at);
  ASSERT_EQ(descent.stage(), Descent::Stage::asking);
  const auto answer = [&](ProvenLease& who, const Identity& signer, bool bend) {
    SignedAnswer out{
        .bytes = answer_question(
                     who.work, descent.question(),
                     [&](uint32_t step) -> Result<ProverView> { return who.stand(0, step); },
                     who.runs[0])
                     .value(),
        .challenge_seq = 5,
        .signature = {}};
    if (bend) out.bytes.back() ^= 1;
    out.signature = signer.sign(answer_message(cheat.lease.id, out));
    return descent.take(out).ok();
  };
  EXPECT_FALSE(answer(honest, cheat.miner, false)) << "the roots of true work";
  EXPECT_FALSE(answer(cheat, cheat.pool, false)) << "signed by somebody else";
  EXPECT_FALSE(answer(cheat, cheat.miner, true)) << "one bit";
  EXPECT_EQ(descent.stage(), Descent::Stage::asking);
  EXPECT_TRUE(answer(cheat, cheat.miner, false));
}

}  // namespace
}  // namespace gemmine::verifier
