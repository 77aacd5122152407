// Threads of honest leases: what the prover writes the auditor finds right, and every byte of it
// matters.
#include <gtest/gtest.h>

#include "tests/support/thread_stage.h"

namespace gemmine::verifier {
namespace {

using test::thread_seed;
using test::ThreadStage;

Job short_gpt(const kernels::Spec& spec) {
  Job job = test::toy_gpt_job(spec);
  job.spec.steps_per_lease = 6;
  job.steps_per_share = 4;
  job.train_address = kernels::blake3(testing::toy_tokens(job.spec));
  return job;
}

void expect_valid(ThreadStage& stage, uint32_t seeds) {
  const uint16_t blocks = full_thread_blocks(stage.program());
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    const ThreadCase ticket = stage.ticket(thread_seed(seed), blocks);
    const auto answer = stage.prove(ticket);
    ASSERT_TRUE(answer) << answer.error().detail;
    const ThreadFinding finding = stage.check(ticket, answer.value());
    ASSERT_EQ(finding.outcome, ThreadOutcome::valid) << finding.detail;
  }
}

TEST(Thread, OfAnHonestGptIsValid) {
  const Job job = short_gpt(testing::toy_gpt());
  ThreadStage stage(job, testing::toy_tokens(job.spec));
  expect_valid(stage, 4);
}

TEST(Thread, OfAnHonestTiedGptIsValid) {
  kernels::Spec spec = testing::toy_gpt_tied();
  for (const float clip : {0.0F, 0.05F}) {
    spec.clip = clip;
    const Job job = short_gpt(spec);
    ThreadStage stage(job, testing::toy_tokens(job.spec));
    expect_valid(stage, 4);
  }
}

TEST(Thread, OfAnHonestMlpIsValid) {
  for (const auto optimiser : {kernels::Optimiser::sgd, kernels::Optimiser::adamw}) {
    Job job = test::toy_job();
    job.spec = test::toy_spec(optimiser);
    ThreadStage stage(job, test::toy_train());
    expect_valid(stage, 8);
  }
}

}  // namespace
}  // namespace gemmine::verifier
