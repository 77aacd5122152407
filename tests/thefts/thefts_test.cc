// What a careful thief of a lease's work risks: how often one thread of it finds him, measured with
// the prover and the auditor that miners and pools run.
#include "tests/thefts/thefts.h"

#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/support/thread_stage.h"
#include "tests/thefts/masked_attention.h"

namespace gemmine::thefts {
namespace {

using test::thread_seed;
using test::ThreadStage;
using verifier::ThreadOutcome;

// Of each theft; GEMMINE_AUDITS says how many else.
uint32_t audits() {
  const char* const said = std::getenv("GEMMINE_AUDITS");
  return said == nullptr ? 24 : static_cast<uint32_t>(std::atoi(said));
}

// Four blocks, so that a linear is followed in one of four.
verifier::Job toy_gpt_lease() {
  verifier::Job job = test::toy_gpt_job(testing::toy_gpt());
  job.name = "gpt";
  job.spec.gpt.blocks = 4;
  job.spec.clip = 0.6F;
  job.spec.steps_per_lease = 10;
  job.steps_per_share = 5;
  return job;
}

verifier::Job toy_mlp_lease() {
  verifier::Job job = test::toy_job();
  job.name = "mlp";
  job.spec = test::toy_spec(kernels::Optimiser::adamw);
  job.spec.widths = {37, 80, 48, 10};
  job.spec.steps_per_lease = 10;
  job.steps_per_share = 4;
  return job;
}

struct Measured {
  uint32_t audits = 0;
  uint32_t found = 0;
  uint32_t unusable = 0;
  double rate() const { return static_cast<double>(found) / audits; }
};

// A claim cut out of the answer is decided alone, and the same.
void expect_proof(const ThreadStage& stage, const verifier::ThreadCase& ticket,
                  const verifier::ThreadFinding& finding) {
  ASSERT_NE(finding.update.has_value(), finding.block.has_value());
  if (!finding.update) return;
  const uint32_t last = stage.lease.steps - 1;
  const auto& share = ticket.share_of(std::min(finding.update->step, last));
  const auto proof = verifier::check_part(ticket, share, *finding.update, stage.data());
  EXPECT_EQ(proof.outcome, verifier::Outcome::invalid) << proof.detail;
}

Measured measure(const verifier::Job& job, const Bytes& train, const Theft& theft) {
  const kernels::Program program = kernels::Program::make(job.spec).value();
  ThreadStage stage(job, train, std::make_unique<Thief>(program, train, theft));
  const uint16_t blocks = verifier::full_thread_blocks(program);
  Measured out;
  out.audits = audits();
  for (uint32_t i = 0; i < out.audits; ++i) {
    const auto ticket = stage.ticket(thread_seed(i), blocks);
    const auto answer = stage.prove(ticket, false);
    EXPECT_TRUE(answer) << answer.error().detail;
    const auto finding = stage.check(ticket, answer.value());
    out.found += finding.outcome == ThreadOutcome::wrong ? 1 : 0;
    out.unusable += finding.outcome == ThreadOutcome::unusable ? 1 : 0;
    EXPECT_NE(finding.outcome, ThreadOutcome::unusable) << finding.detail;
    if (finding.outcome == ThreadOutcome::wrong) expect_proof(stage, ticket, finding);
  }
  return out;
}

// A row of the table in verifier/README.md, and what the row has to hold.
void expect_row(const verifier::Job& job, const Bytes& train, const Theft& theft) {
  SCOPED_TRACE(theft.name + ": " + theft.how);
  const kernels::Program program = kernels::Program::make(job.spec).value();
  const Measured measured = measure(job, train, theft);
  const double saved = theft.saved_macs(program, job.spec.steps_per_lease) /
                       static_cast<double>(program.macs_per_step());
  std::printf("| %s | %s%s%s | %.0f %% | %.0f %% |\n", job.name.c_str(), theft.name.c_str(),
              theft.how.empty() ? "" : ": ", theft.how.c_str(), 100 * saved, 100 * measured.rate());
  std::fflush(stdout);
  const double least = std::max(theft.found_min, saved >= kWorthwhileSaving ? kWorthwhile : 0.0);
  EXPECT_GE(measured.rate(), least);
}

void expect_rows(const verifier::Job& job, const Bytes& train, const std::vector<Theft>& thefts) {
  for (const Theft& theft : thefts)
    expect_row(job, train, theft);
}

struct GptLease {
  verifier::Job job = toy_gpt_lease();
  Bytes tokens = testing::toy_tokens(job.spec);
  kernels::Program program = kernels::Program::make(job.spec).value();
};

TEST(Thefts, OfWeightsAreFound) {
  const GptLease gpt;
  expect_rows(gpt.job, gpt.tokens, weight_thefts(gpt.program));
}

TEST(Thefts, OfAnMlpAreFound) {
  const verifier::Job job = toy_mlp_lease();
  const Bytes train = test::toy_train();
  const auto program = kernels::Program::make(job.spec).value();
  expect_rows(job, train, weight_thefts(program));
  expect_rows(job, train, forged_mlp_tensors(program));
}

TEST(Thefts, OfTheClipAreFound) {
  const GptLease gpt;
  expect_rows(gpt.job, gpt.tokens, clip_thefts(gpt.program));
}

TEST(Thefts, OfSingleTensorsAreFound) {
  const GptLease gpt;
  expect_rows(gpt.job, gpt.tokens, forged_tensors(gpt.program));
}

TEST(Thefts, OfStepsAreFound) {
  const GptLease gpt;
  expect_rows(gpt.job, gpt.tokens, step_thefts(gpt.job.spec.gpt.context));
}

// The thief's way to derive a step is the engine's, where he steals nothing.
TEST(Thief, WithoutATheftIsTheHonestMiner) {
  const Mask all = [](uint32_t, uint32_t) { return true; };
  Theft full_mask;
  full_mask.bend = [&](Draft& draft) { bend_attention(draft, all); };
  Theft nothing_bent;
  nothing_bent.bend = [](Draft&) {};
  const GptLease gpt;
  const ThreadStage honest(gpt.job, gpt.tokens);
  for (const Theft& theft : {Theft{}, nothing_bent, full_mask}) {
    const ThreadStage stage(gpt.job, gpt.tokens,
                            std::make_unique<Thief>(gpt.program, gpt.tokens, theft));
    for (size_t i = 0; i < stage.shares.size(); ++i) {
      EXPECT_EQ(stage.shares[i].state_after, honest.shares[i].state_after);
      EXPECT_EQ(stage.runs[i].roots, honest.runs[i].roots);
    }
  }
}

}  // namespace
}  // namespace gemmine::thefts
