// Kinds 4, 5 and 6: proofs against a pool (PROTOCOL 12.5 – 12.7).
#include <cmath>

#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"
#include "verifier/ledger/data.h"

namespace gemmine::verifier {
namespace {

using test::convicts;
using test::decide;
using test::toy_identity;

// A pool that merges the deltas of a round, well or badly. The deltas need no honest lease.
class PoolProof : public ::testing::Test {
 protected:
  PoolProof() { use(test::toy_job()); }

  void use(const Job& job) {
    work_ = Work::make(job).value();
    const kernels::Program& program = work_->program();
    before_ = initial_published(program);
    leases_.clear();
    deltas_.clear();
    for (uint32_t slot = 0; slot < job.spec.slots; ++slot) {
      Lease lease;
      lease.job_id = work_->id();
      lease.miner_key = toy_identity(static_cast<uint8_t>(20 + slot)).public_key();
      lease.slot = slot;
      lease.serial = slot;
      lease.steps = job.spec.steps_per_lease;
      lease.steps_per_share = job.steps_per_share;
      lease.theta_root = kernels::blake3(bytes(before_));
      sign(lease, pool_);
      leases_.push_back(lease);
      std::vector<float> local(before_.begin(),
                               before_.begin() + static_cast<ptrdiff_t>(program.parameters()));
      for (size_t i = 0; i < local.size(); ++i)
        local[i] += 0.001F * static_cast<float>((i * 7 + slot) % 13);
      deltas_.push_back(make_delta(local, theta_of(program, before_), job.audit.delta_max).value());
    }
    redo(0);
  }
  // What follows from the deltas, of which the last ones are taken out again.
  void redo(uint32_t subtracted) {
    const auto delta_of = [&](uint32_t number) -> Result<Bytes> { return deltas_[number]; };
    after_ = redo_round(*work_, before_, {work_->job().spec.slots, subtracted}, delta_of)
                 .value()
                 .published;
  }

  static Bytes bytes(const std::vector<float>& floats) {
    const ByteView view = as_bytes(std::span<const float>(floats));
    return {view.begin(), view.end()};
  }

  Statement say(RecordKind kind, Bytes body, uint64_t seq) const {
    Digest before;
    before.bytes.fill(static_cast<uint8_t>(seq));
    return say_after(before, kind, std::move(body), seq);
  }
  Statement say_after(const Digest& before, RecordKind kind, Bytes body, uint64_t seq) const {
    Statement out{.kind = kind, .body = std::move(body), .receipt = {}};
    out.receipt.seq = seq;
    out.receipt.time_ms = seq;
    out.receipt.head_before = before;
    SignedHead head = head_of(out.receipt, static_cast<uint8_t>(kind), out.body);
    sign(head, pool_);
    out.receipt.signature = head.signature;
    return out;
  }

  // The pool says that the round's merge gave after_.
  Bytes merge_proof(uint32_t chunk) {
    std::vector<Digest> ids;
    std::vector<Digest> subtracted;
    std::vector<Statement> records;
    for (size_t slot = 0; slot < leases_.size(); ++slot) {
      const bool merged = slot < work_->job().spec.slots && !repairs_;
      (merged ? ids : subtracted).push_back(leases_[slot].id);
      records.push_back(say(RecordKind::delta,
                            encode(DeltaBody{leases_[slot].id, kernels::blake3(deltas_[slot])}),
                            10 + slot));
    }
    std::vector<MergedDelta> deltas;
    for (size_t slot = 0; slot < leases_.size(); ++slot)
      deltas.push_back({records[slot], deltas_[slot]});
    const Bytes next = bytes(after_);
    const Statement merge = say(RecordKind::merge,
                                encode(MergeBody{work_->id(), 0, kernels::blake3(bytes(before_)),
                                                 kernels::blake3(next), ids, subtracted}),
                                20);
    return write_merge(*work_, accused_, chunk, merge, bytes(before_), next, deltas);
  }
  Bytes theta0_proof(uint32_t chunk) {
    return write_theta0(*work_, leases_[0], chunk, bytes(before_));
  }

  Identity pool_ = toy_identity(1);
  Digest accused_ = pool_.public_key();
  bool repairs_ = false;  // the merge is made of what it takes out alone
  std::optional<Work> work_;
  std::vector<float> before_;
  std::vector<float> after_;
  std::vector<Lease> leases_;
  std::vector<Bytes> deltas_;
};

TEST_F(PoolProof, AcquitsAnHonestMergeInEveryChunk) {
  for (uint32_t chunk = 0; chunk * 256 < work_->program().parameters(); ++chunk)
    EXPECT_FALSE(decide(merge_proof(chunk)).proven) << chunk;
}

TEST_F(PoolProof, ConvictsAMergeOfOneWrongBit) {
  const std::vector<float> honest = after_;
  after_[700] = std::nextafter(after_[700], 9.0F);
  ASSERT_EQ(differing_chunk(work_->program(), honest, after_), 2U);
  const Bytes file = merge_proof(2);
  const ProofFinding finding = decide(file);
  EXPECT_TRUE(finding.proven) << finding.words;
  EXPECT_TRUE(finding.against_pool);
  EXPECT_EQ(finding.accused, pool_.public_key());
  EXPECT_NE(finding.words.find("parameter 700"), std::string::npos) << finding.words;
  EXPECT_FALSE(decide(merge_proof(1)).proven) << "the chunk beside it is right";
  test::expect_no_flip_convicts(file, 1500);
}

TEST_F(PoolProof, ConvictsAWrongVelocity) {
  Job job = test::toy_gpt_job(testing::toy_gpt());
  job.spec.outer_momentum = 0.9F;
  job.spec.outer_lr = 0.7F;
  use(job);
  EXPECT_FALSE(decide(merge_proof(3)).proven);
  after_[work_->program().parameters() + 3 * 256] += 1;
  const ProofFinding finding = decide(merge_proof(3));
  EXPECT_TRUE(finding.proven) << finding.words;
  EXPECT_NE(finding.words.find("velocity"), std::string::npos) << finding.words;
}

TEST_F(PoolProof, ConvictsAMergeOfADeltaOutOfBounds) {
  deltas_[1][2] = 100;  // an exponent
  EXPECT_TRUE(decide(merge_proof(1)).proven);
  EXPECT_FALSE(decide(merge_proof(0)).proven);
}

TEST_F(PoolProof, KnowsWhatAMergeTakesOutAgain) {
  Lease bad = leases_[0];
  bad.serial = 100;
  sign(bad, pool_);
  leases_.push_back(bad);
  Bytes delta = deltas_[0];
  delta[delta.size() - 1] ^= 1;
  deltas_.push_back(delta);
  EXPECT_TRUE(decide(merge_proof(0)).proven) << "the record says so, the weights do not";
  redo(1);
  for (uint32_t chunk = 0; chunk * 256 < work_->program().parameters(); ++chunk)
    EXPECT_FALSE(decide(merge_proof(chunk)).proven) << chunk;
}

// A repair has no leases of its own: it takes out, and the round begins again.
TEST_F(PoolProof, RedoesARepairAndConvictsAWrongOne) {
  const uint32_t slots = work_->job().spec.slots;
  before_ = after_;
  const auto delta_of = [&](uint32_t number) -> Result<Bytes> { return deltas_[number]; };
  after_ = redo_round(*work_, before_, {0, slots}, delta_of).value().published;
  repairs_ = true;
  for (uint32_t chunk = 0; chunk * 256 < work_->program().parameters(); ++chunk)
    EXPECT_FALSE(decide(merge_proof(chunk)).proven) << chunk;
  after_[0] = std::nextafter(after_[0], 9.0F);
  const ProofFinding finding = decide(merge_proof(0));
  EXPECT_TRUE(finding.proven);
  EXPECT_NE(finding.words.find("repair of round 0"), std::string::npos) << finding.words;
}

TEST_F(PoolProof, ConvictsNobodyByAMergeOfAnotherPoolOrBySomeOfTheSlots) {
  after_[0] += 1;
  const Identity other = toy_identity(9);
  accused_ = other.public_key();
  EXPECT_FALSE(decide(merge_proof(0)).proven) << "that pool has not signed it";
  accused_ = pool_.public_key();
  EXPECT_TRUE(decide(merge_proof(0)).proven);
  leases_.pop_back();
  deltas_.pop_back();
  EXPECT_FALSE(decide(merge_proof(0)).proven) << "no fold takes a merge of some slots";
}

TEST_F(PoolProof, AcquitsTheSeedsOwnWeights) {
  for (uint32_t chunk = 0; chunk * 256 < work_->program().parameters(); ++chunk)
    EXPECT_FALSE(decide(theta0_proof(chunk)).proven) << chunk;
}

TEST_F(PoolProof, ConvictsOtherWeightsThanTheSeeds) {
  before_[300] += 1;
  leases_[0].theta_root = kernels::blake3(bytes(before_));
  sign(leases_[0], pool_);
  const Bytes file = theta0_proof(1);
  EXPECT_TRUE(decide(file).proven);
  EXPECT_FALSE(decide(theta0_proof(0)).proven);
  test::expect_no_flip_convicts(file, 1500);
  leases_[0].round = 1;
  sign(leases_[0], pool_);
  EXPECT_FALSE(decide(theta0_proof(1)).proven) << "later rounds begin from other weights";
}

TEST_F(PoolProof, ConvictsTwoHeadsForOneRecord) {
  const Statement one = say(RecordKind::fund, encode(FundBody{{}, 1}), 7);
  const Statement two = say(RecordKind::fund, encode(FundBody{{}, 2}), 7);
  const SignedHead head = head_of(one.receipt, static_cast<uint8_t>(one.kind), one.body);
  for (const PoolWord first : {PoolWord{.head = &head}, PoolWord{.record = &one}}) {
    const Bytes file = write_equivocation(pool_.public_key(), first, {.record = &two});
    EXPECT_TRUE(decide(file).proven);
    test::expect_no_flip_convicts(file, 10'000);
  }
}

TEST_F(PoolProof, ConvictsARecordAfterAnotherHead) {
  const Statement one = say(RecordKind::fund, encode(FundBody{{}, 1}), 7);
  const Statement after = say(RecordKind::fund, encode(FundBody{{}, 1}), 8);
  EXPECT_TRUE(
      decide(write_equivocation(pool_.public_key(), {.record = &one}, {.record = &after})).proven);
}

TEST_F(PoolProof, ConvictsAHeadAfterAnEarlierOneOfALaterTime) {
  const Statement one = say(RecordKind::fund, encode(FundBody{{}, 1}), 7);
  const Statement two = say(RecordKind::fund, encode(FundBody{{}, 1}), 9);
  SignedHead late = head_of(one.receipt, static_cast<uint8_t>(one.kind), one.body);
  const SignedHead next = head_of(two.receipt, static_cast<uint8_t>(two.kind), two.body);
  EXPECT_FALSE(
      decide(write_equivocation(pool_.public_key(), {.head = &late}, {.head = &next})).proven);
  late.time_ms = next.time_ms + 1;
  sign(late, pool_);
  EXPECT_TRUE(
      decide(write_equivocation(pool_.public_key(), {.head = &late}, {.head = &next})).proven);
}

TEST_F(PoolProof, AcquitsAPoolWithOneLedger) {
  const Statement one = say(RecordKind::fund, encode(FundBody{{}, 1}), 7);
  const SignedHead head = head_of(one.receipt, static_cast<uint8_t>(one.kind), one.body);
  EXPECT_FALSE(
      decide(write_equivocation(pool_.public_key(), {.head = &head}, {.record = &one})).proven);
  const Statement next = say_after(head.head, RecordKind::fund, encode(FundBody{{}, 3}), 8);
  EXPECT_FALSE(
      decide(write_equivocation(pool_.public_key(), {.head = &head}, {.record = &next})).proven);
}

TEST_F(PoolProof, ConvictsNobodyByHeadsThatHeDidNotSign) {
  const Statement one = say(RecordKind::fund, encode(FundBody{{}, 1}), 7);
  Statement two = say(RecordKind::fund, encode(FundBody{{}, 2}), 7);
  two.receipt.signature = one.receipt.signature;
  EXPECT_FALSE(
      decide(write_equivocation(pool_.public_key(), {.record = &one}, {.record = &two})).proven);
}

}  // namespace
}  // namespace gemmine::verifier
