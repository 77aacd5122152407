// What a pool says of a lease and nothing small contradicts: a replay decides, either way.
#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"
#include "verifier/ledger/bodies.h"
#include "verifier/proof/replayed.h"
#include "verifier/proof/write_records.h"

namespace gemmine::verifier {
namespace {

using test::BentEngine;
using test::ProvenLease;

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

struct Said {
  explicit Said(std::optional<BentEngine::Lie> lie = {})
      : lease(test::toy_job(), test::toy_train(), lie) {}

  // What the pool's verdict on a share says, signed.
  Verdict verdict(Outcome outcome, uint32_t index) const {
    Verdict out;
    out.lease_id = lease.lease.id;
    out.index = index;
    out.share_id = share_id(lease.runs[index].share);
    out.kind = AuditKind::replay;
    out.outcome = outcome;
    sign(out, lease.pool);
    return out;
  }
  Bytes invalid(uint32_t step, const Digest& digest) const {
    const uint32_t index = step == kNoStep ? 0 : step / lease.lease.steps_per_share;
    Verdict out = verdict(Outcome::invalid, index);
    out.step = step;
    out.digest = digest;
    sign(out, lease.pool);
    return write_false_invalid(out, lease.accused(index), lease.runs[index].step_digests);
  }
  Bytes valid() const {
    const uint32_t last = lease.lease.shares() - 1;
    return write_doubted_verdict(verdict(Outcome::valid, last), lease.accused(last));
  }
  Bytes stop(uint32_t step) const {
    Statement out{.kind = RecordKind::stop,
                  .body = gemmine::encode(StopBody{lease.work.id(), lease.lease.id, step}),
                  .receipt = {}};
    SignedHead head = head_of(out.receipt, static_cast<uint8_t>(out.kind), out.body);
    sign(head, lease.pool);
    out.receipt.signature = head.signature;
    return write_doubted_stop(lease.work, lease.lease, out);
  }
  // As a judge with the blobs decides.
  bool proven(const Bytes& file) const {
    const auto finding = decide_proof(file, lease.pool.public_key());
    EXPECT_TRUE(finding.ok()) << finding.error().detail;
    EXPECT_FALSE(finding.value().proven) << "the file alone shows nothing";
    EXPECT_TRUE(finding.value().replay) << finding.value().words;
    if (!finding.value().replay) return false;
    const auto engine =
        std::move(kernels::make_engine("cpu", lease.program(), lease.train, 1).value());
    const auto decided = decide_by_replay(finding.value(), *engine, lease.theta, {});
    EXPECT_TRUE(decided.ok()) << decided.error().detail;
    EXPECT_FALSE(decided.value().replay);
    return decided.value().proven;
  }
  ProvenLease lease;
};

BentEngine::Lie one_bit() {
  return {.step = 1, .position = 0, .byte = 0, .flip = 1, .moves = {}};
}

TEST(ReplayedProof, OfAnInvalidVerdictDependsOnItsDigest) {
  const Said honest;
  EXPECT_TRUE(honest.proven(honest.invalid(1, filled(7)))) << "no replay gets that";
  EXPECT_TRUE(honest.proven(honest.invalid(kNoStep, filled(7))));
  const Said cheat(one_bit());
  EXPECT_FALSE(cheat.proven(cheat.invalid(1, honest.lease.runs[0].step_digests[1])))
      << "another lease's digest";
}

TEST(ReplayedProof, AcquitsAPoolThatFoundACheat) {
  const Said cheat(one_bit());
  const auto engine =
      std::move(kernels::make_engine("cpu", cheat.lease.program(), cheat.lease.train, 1).value());
  std::vector<ClaimedShare> claimed;
  for (const ShareRun& run : cheat.lease.runs)
    claimed.push_back({run.share, run.step_digests});
  const auto found = replay_lease(*engine, cheat.lease.at(), claimed, {});
  ASSERT_EQ(found.value().finding.outcome, Outcome::invalid);
  ASSERT_EQ(found.value().finding.step, 1U);
  EXPECT_FALSE(cheat.proven(cheat.invalid(1, found.value().digest)));
  EXPECT_TRUE(cheat.proven(cheat.invalid(0, filled(3)))) << "another step";
  Verdict bare = cheat.verdict(Outcome::invalid, 0);
  bare.step = 1;
  bare.digest = found.value().digest;
  sign(bare, cheat.lease.pool);
  EXPECT_FALSE(cheat.proven(write_doubted_verdict(bare, cheat.lease.accused(0))));
  bare.digest = filled(3);
  sign(bare, cheat.lease.pool);
  EXPECT_TRUE(cheat.proven(write_doubted_verdict(bare, cheat.lease.accused(0))));
}

TEST(ReplayedProof, OfAShareNoStepOfWhichDiffersTakesAnyOfItsEnds) {
  Said s;
  const Share own = s.lease.runs[0].share;
  Share& claimed = s.lease.runs[0].share;
  claimed.loss += 1;  // which is in no digest of a step
  sign(claimed, s.lease.miner);
  EXPECT_FALSE(s.proven(s.invalid(kNoStep, share_id(own))));
  EXPECT_TRUE(s.proven(s.invalid(kNoStep, own.trace_root))) << "that is no end of the share";
}

TEST(ReplayedProof, OfAValidVerdictIsWhetherTheLastShareIsRight) {
  const Said honest;
  EXPECT_FALSE(honest.proven(honest.valid()));
  Said cheat;
  Share& last = cheat.lease.runs.back().share;
  last.state_after = filled(9);
  sign(last, cheat.lease.miner);
  EXPECT_TRUE(cheat.proven(cheat.valid())) << "the pool vouched for it";
}

TEST(ReplayedProof, OfAStopIsWhetherTrainingDivergesThere) {
  const Said s;
  EXPECT_TRUE(s.proven(s.stop(0)));
  EXPECT_TRUE(s.proven(s.stop(s.lease.lease.steps - 1)));
  const auto beyond = decide_proof(s.stop(s.lease.lease.steps), s.lease.pool.public_key());
  EXPECT_TRUE(beyond.value().proven) << "there is no such step";
  // Weights so large that the first step is not finite.
  Said large;
  for (float& weight : large.lease.theta)
    weight = 3e38F;
  EXPECT_FALSE(large.proven(large.stop(0)));
  EXPECT_TRUE(large.proven(large.stop(1))) << "it diverges before that";
}

TEST(ReplayedProof, ConvictsNobodyWithoutThePoolsWord) {
  Said s;
  const Bytes file = s.valid();
  for (size_t at = 20; at < file.size(); at += 37) {
    Bytes bad = file;
    bad[at] ^= 1;
    const auto finding = decide_proof(bad, s.lease.pool.public_key());
    EXPECT_FALSE(finding && (finding.value().proven || finding.value().replay)) << at;
  }
}

}  // namespace
}  // namespace gemmine::verifier
