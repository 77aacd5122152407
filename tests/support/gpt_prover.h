// A prover of a toy language model's only share, who may commit to other bytes than it computed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/engine_around.h"
#include "tests/support/toy_gpt.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier::test_prover {

// Commits to other bytes of one tensor than its inner engine computed: a cheat who is honest about
// everything else.
class BentEngine final : public ::gemmine::test::EngineAround {
 public:
  explicit BentEngine(std::unique_ptr<kernels::Engine> inner) : EngineAround(std::move(inner)) {}
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    auto result = inner().run_step(key, step_key);
    if (result && step_key != nullptr && bend_)
      result.value().roots[position_] =
          kernels::blake3_keyed(*step_key, read_tensor(position_).value());
    return result;
  }
  Result<Bytes> read_tensor(uint32_t position) override {
    auto bytes = inner().read_tensor(position);
    if (bytes && bend_ && position == position_) bend_(bytes.value());
    return bytes;
  }
  void bend(uint32_t position, std::function<void(Bytes&)> how) {
    position_ = position;
    bend_ = std::move(how);
  }

 private:
  uint32_t position_ = 0;
  std::function<void(Bytes&)> bend_;
};

inline kernels::Spec of_one_share(kernels::Spec spec) {
  spec.steps_per_lease = 2;
  return spec;
}

struct Prover {
  explicit Prover(const kernels::Spec& spec) : job(::gemmine::test::toy_job()) {
    job.spec = of_one_share(spec);
    job.steps_per_share = 2;
    train = ::gemmine::testing::toy_tokens(job.spec);
    job.train_address = kernels::blake3(train);
    job.test_records = job.spec.records;
    work = Work::make(job).value();
    program = work->program();
    theta = program->initial_theta();
    lease.job_id = work->id();
    lease.round = 1;
    lease.slot = 1;
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    lease.id = lease_id(lease);
    auto made = kernels::make_engine("cpu", *program, train, 1);
    EXPECT_TRUE(made) << made.error().detail;
    engine = std::make_unique<BentEngine>(std::move(made.value()));
    before = theta;
    before.resize(program->state_floats());
    run();
  }

  LeaseView at() const { return {*work, lease, theta}; }
  void run() { share = run_share(*engine, at(), 0, before).value(); }

  // The engine has to stand right after the block's step.
  Result<Bytes> open(const BlockChoice& choice, bool check_own = true) {
    EXPECT_TRUE(engine->load_state(before, 0));
    for (uint32_t h = 0; h <= choice.step; ++h) {
      const Digest key = step_key(lease.id, h);
      EXPECT_TRUE(engine->run_step({lease.round, lease.slot, h}, &key));
    }
    ProverView view{at(), *share, before, share->state_after, train, nullptr, *engine};
    view.check_own = check_own;
    return make_opening(view, choice);
  }
  Finding check(const BlockChoice& choice, ByteView opening) const {
    return check_opening(at(), share->share, choice, opening);
  }
  BlockChoice choice(uint32_t position, uint32_t row, uint32_t col, uint32_t group = 0) const {
    const kernels::TensorInfo& tensor = program->tensors()[position];
    return {.step = reads_state_before(tensor) ? 0U : 1U,
            .position = position,
            .tile_row = row,
            .tile_col = col,
            .group = group};
  }
  std::string name(uint32_t position) const {
    const kernels::TensorInfo& tensor = program->tensors()[position];
    return std::string(kernels::tensor_name(tensor.kind)) + "_" + std::to_string(tensor.layer);
  }
  bool checked(uint32_t position) const {
    const kernels::TensorInfo& tensor = program->tensors()[position];
    return tensor.is_int8() || tensor.is_checked_f32();
  }

  Job job;
  std::optional<Work> work;
  std::optional<kernels::Program> program;
  Bytes train;
  std::vector<float> theta;
  std::vector<float> before;
  Lease lease;
  std::unique_ptr<BentEngine> engine;
  std::optional<ShareRun> share;
};

}  // namespace gemmine::verifier::test_prover
