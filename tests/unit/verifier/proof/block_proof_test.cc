// Kinds 1 and 2: a block that is not what its inputs give (PROTOCOL 12.2, 12.3).
#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"
#include "verifier/proof/claimed_tree.h"
#include "verifier/proof/question.h"

namespace gemmine::verifier {
namespace {

using kernels::TensorKind;
using test::BentEngine;
using test::convicts;
using test::decide;
using test::ProvenLease;
using test::toy_lease_of;

// A chunk of a tensor as the engine has it now.
ClaimedChunk claim(ProvenLease& world, uint32_t step, uint32_t position, uint32_t chunk) {
  const Bytes bytes = world.engine->read_tensor(position).value();
  const auto mode = kernels::Blake3Mode::keyed(step_key(world.lease.id, step));
  const uint64_t count = node_count(bytes.size(), 0);
  const ClaimedTree tree(mode, bytes.size(), 0, nodes_of(mode, bytes, 0, 0, count));
  const kernels::ChunkRange range{chunk, chunk + 1};
  return {chunk, tree.nodes()[chunk], tree.siblings(std::span(&range, 1))};
}

Bytes by_another(ProvenLease& cheat, ProvenLease& honest, uint32_t share, uint32_t step,
                 uint32_t position, uint32_t chunk) {
  const uint32_t at = cheat.runs[share].share.first_step + step;
  (void)cheat.stand(share, step);
  const ClaimedChunk claimed = claim(cheat, at, position, chunk);
  // The accuser's own objects, under what the cheat committed to.
  ProverView view = honest.stand(share, step);
  const ProverView mixed{cheat.at(),         cheat.runs[share], view.state_before, view.state_after,
                         view.train_records, nullptr,           view.engine,       false};
  const Bytes inputs = make_inputs(mixed, step, position, chunk).value();
  return write_block_by_another(cheat.accused(share), step, static_cast<uint16_t>(position),
                                claimed, inputs);
}

TEST(BlockProof, ConvictsAWrongElementOfEveryTensor) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  for (uint32_t p = 0; p < program.tensors().size(); ++p) {
    const auto& tensor = program.tensors()[p];
    if (!tensor.is_int8()) continue;
    const bool first = reads_state_before(tensor);
    const uint32_t step = first ? 0 : 1;
    ProvenLease cheat = toy_lease_of(BentEngine::Lie{.step = step, .position = p, .byte = 5});
    const ProofFinding finding = decide(cheat.block_proof(0, {.step = step, .position = p}));
    EXPECT_TRUE(finding.proven) << p << ": " << finding.words;
    EXPECT_EQ(finding.accused, cheat.miner.public_key());
    EXPECT_EQ(finding.lease_id, cheat.lease.id);
    EXPECT_FALSE(finding.against_pool);
  }
}

TEST(BlockProof, AcquitsAnHonestMiner) {
  ProvenLease honest = toy_lease_of({});
  for (uint32_t p = 0; p < honest.program().tensors().size(); ++p) {
    if (!honest.program().tensors()[p].is_int8()) continue;
    EXPECT_FALSE(decide(honest.block_proof(0, {.position = p})).proven) << p;
  }
  const uint32_t last = honest.lease.shares() - 1;
  EXPECT_FALSE(decide(honest.block_proof(last, {.delta = true, .tile_row = 3})).proven);
}

TEST(BlockProof, ConvictsALanguageModelsMiner) {
  const Job job = test::toy_gpt_job(testing::toy_gpt());
  const kernels::Program program = Work::make(job).value().program();
  const uint32_t position = program.position(TensorKind::row_max, 1);
  ProvenLease cheat(job, testing::toy_tokens(job.spec),
                    BentEngine::Lie{.step = 1, .position = position, .byte = 8});
  EXPECT_TRUE(decide(cheat.block_proof(0, {.step = 1, .position = position})).proven);
  EXPECT_FALSE(decide(cheat.block_proof(0, {.step = 0, .position = position})).proven);
}

TEST(BlockProof, ConvictsAScaleThatIsTooSmall) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  const uint32_t x = program.position(TensorKind::x, 1);
  // The exponent of the first row's scale becomes less.
  ProvenLease cheat =
      toy_lease_of(BentEngine::Lie{.step = 0, .position = x + 1, .byte = 2, .flip = 0x80});
  const ProofFinding finding = decide(cheat.block_proof(0, {.position = x}));
  EXPECT_TRUE(finding.proven) << finding.words;
}

TEST(BlockProof, ConvictsAForgedDelta) {
  ProvenLease cheat = toy_lease_of({});
  ShareRun& last = cheat.runs.back();
  last.delta.back() ^= 1;
  last.share.delta_root = kernels::blake3(last.delta);
  sign(last.share, cheat.miner);
  const uint32_t block = static_cast<uint32_t>((cheat.program().parameters() - 1) / 128);
  const uint32_t share = cheat.lease.shares() - 1;
  EXPECT_TRUE(decide(cheat.block_proof(share, {.delta = true, .tile_row = block})).proven);
  EXPECT_FALSE(decide(cheat.block_proof(share, {.delta = true, .tile_row = 0})).proven);
}

// A witness is in no root: without the miner's signature it convicts nobody.
class Witness : public ::testing::Test {
 protected:
  Bytes proof(uint32_t named, const Identity& signer) {
    const BlockChoice choice{.position = x_, .group = 2};
    ProverView view = honest_.stand(0, 0);
    Opening opening =
        decode_opening(honest_.program(), evidence_ = make_opening(view, choice).value()).value();
    const uint32_t own = opening.witness;
    opening.witness = named == kNoWitness ? own : named;
    const Question question{.lease_id = honest_.lease.id,
                            .asked = Asked::witnesses,
                            .position = static_cast<uint16_t>(x_),
                            .first = 0,
                            .count = 4};
    Writer answer;
    answer.put_raw(gemmine::encode(question));
    for (uint32_t i = 0; i < 8; ++i)  // four scales, which nobody looks at, and four witnesses
      answer.put(opening.witness);
    SignedAnswer said{.bytes = answer.take(), .challenge_seq = 9, .signature = {}};
    said.signature = signer.sign(answer_message(honest_.lease.id, said));
    return write_block(honest_.accused(0), choice, encode_opening(opening), {}, &said);
  }

  ProvenLease honest_ = toy_lease_of({});
  uint32_t x_ = honest_.program().position(TensorKind::x, 0);
  Bytes evidence_;
};

TEST_F(Witness, ThatDoesNotAttainTheScaleConvictsWhoSignedIt) {
  const uint32_t own =
      decode_opening(honest_.program(),
                     make_opening(honest_.stand(0, 0), {.position = x_, .group = 2}).value())
          .value()
          .witness;
  EXPECT_TRUE(convicts(proof((own + 1) % 37, honest_.miner)));
  EXPECT_FALSE(convicts(proof(kNoWitness, honest_.miner))) << "the right one";
}

TEST_F(Witness, ThatSomebodyElseSignedConvictsNobody) {
  EXPECT_FALSE(convicts(proof(36, honest_.pool)));
}

TEST(BlockByAnother, ConvictsFromInputsAlone) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  ProvenLease honest = toy_lease_of({});
  for (uint32_t p = 0; p < program.tensors().size(); ++p) {
    if (!program.tensors()[p].is_int8() || reads_state_before(program.tensors()[p])) continue;
    ProvenLease cheat = toy_lease_of(BentEngine::Lie{.step = 1, .position = p, .byte = 1030});
    ASSERT_GT(program.tensors()[p].bytes(), 1030U);
    const ProofFinding wrong = decide(by_another(cheat, honest, 0, 1, p, 1));
    EXPECT_TRUE(wrong.proven) << p << ": " << wrong.words;
    EXPECT_FALSE(decide(by_another(cheat, honest, 0, 1, p, 0)).proven) << "another chunk";
    EXPECT_FALSE(decide(by_another(honest, honest, 0, 1, p, 1)).proven) << p;
  }
}

TEST(BlockByAnother, ConvictsInTensorsOfFloats) {
  const Job job = test::toy_gpt_job(testing::toy_gpt());
  const Bytes tokens = testing::toy_tokens(job.spec);
  ProvenLease honest(job, tokens, {});
  const auto& program = honest.program();
  for (const uint32_t p :
       {program.position(TensorKind::residual, 1), program.position(TensorKind::d_norm, 1),
        program.position(TensorKind::loss_max, 0)}) {
    ProvenLease cheat(job, tokens, BentEngine::Lie{.step = 1, .position = p, .byte = 9});
    EXPECT_TRUE(decide(by_another(cheat, honest, 0, 1, p, 0)).proven) << p;
    EXPECT_FALSE(decide(by_another(honest, honest, 0, 1, p, 0)).proven) << p;
  }
}

TEST(BlockByAnother, ConvictsNobodyOfAChunkHeDidNotCommitTo) {
  ProvenLease honest = toy_lease_of({});
  const uint32_t x = honest.program().position(TensorKind::x, 1);
  (void)honest.stand(0, 0);
  ClaimedChunk claimed = claim(honest, 0, x, 1);
  claimed.value.bytes[0] ^= 1;
  const Bytes inputs = make_inputs(honest.stand(0, 0), 0, x, 1).value();
  EXPECT_FALSE(convicts(
      write_block_by_another(honest.accused(0), 0, static_cast<uint16_t>(x), claimed, inputs)));
}

TEST(BlockProof, NoFlippedBitConvicts) {
  const kernels::Program program = Work::make(test::toy_job()).value().program();
  const uint32_t x = program.position(TensorKind::x, 1);
  ProvenLease cheat = toy_lease_of(BentEngine::Lie{.step = 1, .position = x, .byte = 5});
  test::expect_no_flip_convicts(cheat.block_proof(0, {.step = 1, .position = x}), 2000);
  ProvenLease honest = toy_lease_of({});
  test::expect_no_flip_convicts(by_another(cheat, honest, 0, 1, x, 0), 2000);
}

TEST(BlockProof, OfAnotherPoolIsNotOurs) {
  const uint32_t x = toy_lease_of({}).program().position(TensorKind::x, 1);
  ProvenLease cheat = toy_lease_of(BentEngine::Lie{.step = 1, .position = x, .byte = 5});
  const Bytes file = cheat.block_proof(0, {.step = 1, .position = x});
  EXPECT_TRUE(decide_proof(file, {}).value().proven);
  EXPECT_FALSE(decide_proof(file, test::toy_identity(9).public_key()).value().proven);
}

TEST(BlockProof, NeedsBothSignatures) {
  const uint32_t x = toy_lease_of({}).program().position(TensorKind::x, 1);
  const BentEngine::Lie lie{.step = 1, .position = x, .byte = 5};
  ProvenLease forged_share = toy_lease_of(lie);
  sign(forged_share.runs[0].share, forged_share.pool);
  EXPECT_FALSE(convicts(forged_share.block_proof(0, {.step = 1, .position = x})));
  ProvenLease forged_lease = toy_lease_of(lie);
  forged_lease.lease.signature = forged_lease.miner.sign(forged_lease.lease.id);
  EXPECT_FALSE(convicts(forged_lease.block_proof(0, {.step = 1, .position = x})));
}

}  // namespace
}  // namespace gemmine::verifier
