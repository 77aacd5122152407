// At the shape of a block of GPT-2 a proof is below 1 MB and is decided within a second.
#include <chrono>

#include <gtest/gtest.h>

#include "tests/unit/verifier/proof/proof_world.h"

namespace gemmine::verifier {
namespace {

using kernels::TensorKind;

// One block of GPT-2 small, one sequence of 1024 tokens, a share of one step.
Job gpt2_block() {
  kernels::Spec spec = testing::toy_gpt();
  spec.gpt.vocabulary = 2048;
  spec.gpt.width = 768;
  spec.gpt.heads = 12;
  spec.gpt.hidden = 3072;
  spec.gpt.blocks = 1;
  spec.gpt.context = 1024;
  spec.gpt.token_bytes = 2;
  spec.batch = 1;
  spec.steps_per_lease = 1;
  spec.warmup = 0;
  spec.clip = 0;
  Job job = test::toy_gpt_job(spec);
  job.steps_per_share = 1;
  return job;
}

TEST(ProofSize, IsBelowOneMegabyteAndOneSecondAtTheShapeOfGpt2) {
  const Job job = gpt2_block();
  test::ProvenLease world(job, testing::toy_tokens(job.spec), {});
  const ProverView view = world.stand(0, 0);
  size_t largest = 0;
  double slowest = 0;
  std::string which;
  for (uint32_t p = 0; p < world.program().tensors().size(); ++p) {
    const auto& tensor = world.program().tensors()[p];
    if (!tensor.is_int8() && !tensor.is_checked_f32()) continue;
    // The last rows of a sequence read the most keys.
    BlockChoice choice{.position = p, .tile_row = tensor.tile_rows() - 1};
    const Bytes opening = make_evidence(view, choice).value();
    const Bytes file = write_block(world.accused(0), choice, opening, {}, nullptr);
    const auto begin = std::chrono::steady_clock::now();
    const auto finding = decide_proof(file, world.pool.public_key());
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(finding.ok()) << finding.error().detail;
    EXPECT_FALSE(finding.value().proven) << finding.value().words;
    if (file.size() > largest) which = kernels::tensor_name(tensor.kind);
    largest = std::max(largest, file.size());
    slowest = std::max(slowest, spent.count());
  }
  RecordProperty("largest_bytes", static_cast<int>(largest));
  RecordProperty("slowest_ms", static_cast<int>(slowest * 1e3));
  std::printf("largest %zu bytes (%s), slowest %.0f ms\n", largest, which.c_str(), slowest * 1e3);
  EXPECT_LT(largest, 1'000'000U) << which;
  EXPECT_LT(slowest, 1.0);
}

}  // namespace
}  // namespace gemmine::verifier
