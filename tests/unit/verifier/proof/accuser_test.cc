// From a replay that differs to a proof, with a miner who answers, and with one who is right.
#include "verifier/proof/accuser.h"

#include "tests/unit/verifier/proof/proof_world.h"
#include "verifier/thread/prover.h"

namespace gemmine::verifier {
namespace {

using Next = DescentStep::Next;
using test::BentEngine;
using test::ProvenLease;

std::vector<Share> shares_of(const ProvenLease& who) {
  std::vector<Share> out;
  for (const ShareRun& run : who.runs)
    out.push_back(run.share);
  return out;
}

// The thread of a seed, as the miner's device gives it.
Bytes thread_of(ProvenLease& who, const std::vector<Share>& shares, const Digest& seed) {
  std::vector<Digest> digests;
  for (const ShareRun& run : who.runs)
    digests.insert(digests.end(), run.step_digests.begin(), run.step_digests.end());
  const ThreadProver prover{.engine = *who.engine,
                            .theta = who.theta,
                            .train_records = who.train,
                            .train_tree = nullptr,
                            .step_digests = digests,
                            .kept_step = [&](uint32_t step) -> Result<KeptStep> {
                              const ShareRun& run = who.runs[step / who.lease.steps_per_share];
                              const uint32_t at = step - run.share.first_step;
                              return KeptStep{run.roots[at], run.losses[at]};
                            },
                            .kept_state = {},
                            .delta = [&]() -> Result<Bytes> { return who.runs.back().delta; },
                            .miner = who.miner,
                            .check_own = false};
  Bytes out;
  const auto written = prove_thread(
      {who.work, who.lease, shares, seed, thread_blocks(who.work.job())}, prover,
      [&](uint64_t at, ByteView bytes) -> Status {
        if (out.size() < at + bytes.size()) out.resize(at + bytes.size());
        std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(at));
        return Ok{};
      });
  EXPECT_TRUE(written.ok()) << written.error().detail;
  return out;
}

struct End {
  DescentStep step;
  uint32_t asked = 0;
};

// Each step from a new run, as after a restart.
End accuse(ProvenLease& cheat, ProvenLease& honest, uint32_t share) {
  const std::vector<Share> shares = shares_of(cheat);
  const ClaimedShare claimed{cheat.runs[share].share, cheat.runs[share].step_digests};
  const AccusedLease lease{.at = cheat.at(),
                           .shares = shares,
                           .claimed = claimed,
                           .published = cheat.published_bytes,
                           .train_records = cheat.train,
                           .train_tree = nullptr,
                           .delta = [&]() -> Result<Bytes> { return cheat.runs.back().delta; }};
  std::vector<SignedAnswer> answers;
  Bytes thread;
  for (End out;; ++out.asked) {
    auto again = run_at_fault(*honest.engine, honest.at(), claimed, {});
    EXPECT_TRUE(again.ok());
    const AnswerSource source = answer_of(thread);
    out.step = descend(lease, *honest.engine, again.value().own, again.value().state_before,
                       answers, thread.empty() ? nullptr : &source);
    if (out.step.next == Next::thread) {
      thread = thread_of(cheat, shares, out.step.seed);
    } else if (out.step.next == Next::ask) {
      auto bytes = answer_question(
          cheat.work, out.step.question,
          [&](uint32_t step) -> Result<ProverView> { return cheat.stand(share, step); },
          cheat.runs[share]);
      EXPECT_TRUE(bytes.ok()) << bytes.error().detail;
      SignedAnswer answer{.bytes = bytes.value(), .challenge_seq = 7 + out.asked, .signature = {}};
      answer.signature = cheat.miner.sign(answer_message(cheat.lease.id, answer));
      answers.push_back(std::move(answer));
    } else {
      return out;
    }
  }
}

uint32_t share_at_fault(ProvenLease& cheat, ProvenLease& honest) {
  std::vector<ClaimedShare> claimed;
  for (const ShareRun& run : cheat.runs)
    claimed.push_back({run.share, run.step_digests});
  ShareRun own;
  const auto found = replay_lease(*honest.engine, honest.at(), claimed, {}, &own);
  EXPECT_EQ(found.value().finding.outcome, Outcome::invalid);
  EXPECT_FALSE(own.step_digests.empty());
  return found.value().index;
}

void expect_convicted(const Job& job, const Bytes& train, BentEngine::Lie lie,
                      const std::string& what) {
  ProvenLease honest(job, train, {});
  ProvenLease cheat(job, train, lie);
  const uint32_t share = share_at_fault(cheat, honest);
  const End end = accuse(cheat, honest, share);
  EXPECT_EQ(end.step.next, Next::accuse) << what << ": " << end.step.words;
  EXPECT_LE(end.asked, kDescentQuestionsMax) << what;
  if (end.step.next != Next::accuse) return;
  const ProofFinding finding = test::decide(end.step.proof);
  EXPECT_TRUE(finding.proven) << what;
  // What moved after the last step of a share shows in the first of the next one, too.
  EXPECT_GE(finding.index, share) << what;
  EXPECT_EQ(finding.share_id, share_id(cheat.runs[finding.index].share)) << what;
}

TEST(Accuser, ProvesAMatrixThatIsNotTheProductOfItsInputs) {
  const Job job = test::toy_job();
  const Work work = Work::make(job).value();
  const uint32_t x = work.program().position(kernels::TensorKind::x, 1);
  expect_convicted(job, test::toy_train(), {.step = 1, .position = x, .byte = 4}, "x");
}

// Weights that were moved by hand after a step: each class of parameter, in a share and at its end.
TEST(Accuser, ProvesWeightsThatMovedOtherwise) {
  const Job job = test::toy_job();
  const Work work = Work::make(job).value();
  const kernels::Program& program = work.program();
  for (const uint32_t step : {0U, 1U, job.steps_per_share - 1}) {
    for (const kernels::ParameterInfo& parameter : program.parameter_list())
      expect_convicted(
          job, test::toy_train(), {.step = step, .moves = parameter.offset + parameter.count() / 2},
          "step " + std::to_string(step) + ", parameter at " + std::to_string(parameter.offset));
  }
}

// In the middle of a share: our run is shorter than the share then, whatever is asked for.
TEST(Accuser, ProvesALieOfEveryTensorInTheMiddleOfAShare) {
  Job job = test::toy_job();
  job.steps_per_share = job.spec.steps_per_lease;
  const Work work = Work::make(job).value();
  for (uint32_t p = 0; p < work.program().tensors().size(); ++p) {
    const auto& tensor = work.program().tensors()[p];
    // The upper half of a scale's exponent makes it less than what its group has.
    const bool scale = p > 0 && work.program().tensors()[p - 1].is_int8();
    ProvenLease honest(job, test::toy_train(), {});
    ProvenLease cheat(job, test::toy_train(),
                      BentEngine::Lie{.step = 0,
                                      .position = p,
                                      .byte = scale ? 3U : 0U,
                                      .flip = static_cast<uint8_t>(scale ? 0x08 : 1)});
    const End end = accuse(cheat, honest, share_at_fault(cheat, honest));
    EXPECT_EQ(end.step.next, Next::accuse)
        << kernels::tensor_name(tensor.kind) << "_" << tensor.layer << ": " << end.step.words;
  }
}

TEST(Accuser, ProvesNothingAgainstWhoIsRight) {
  for (const uint32_t moved : {0U, 700U}) {
    ProvenLease faulty = test::toy_lease_of(BentEngine::Lie{.step = 1, .moves = moved});
    ProvenLease honest = test::toy_lease_of({});
    const uint32_t share = share_at_fault(honest, faulty);
    EXPECT_EQ(accuse(honest, faulty, share).step.next, Next::nothing);
  }
}

}  // namespace
}  // namespace gemmine::verifier
