// An MLP's share after its first step is as free as a gpt's: spot checks compare weights with the
// state at a share's start only (PROTOCOL 4.6, 7.3), and zero weights cost nothing.
#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/records/trace.h"

namespace gemmine::thefts {
namespace {

using verifier::BlockChoice;
using verifier::Outcome;

// Does the first step, and after that the job of nobody.
class Ghost final : public kernels::Engine {
 public:
  explicit Ghost(std::unique_ptr<kernels::Engine> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return "ghost"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    start_.assign(state.begin(), state.end());
    return inner_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    const std::vector<float> nothing(start_.size(), 0.0F);
    if (key.step > 0) {
      if (auto loaded = inner_->load_state(nothing, key.step); !loaded) return loaded.error();
    }
    return inner_->run_step(key, step_key);
  }
  Status read_state(std::span<float> state) override {
    std::copy(start_.begin(), start_.end(), state.begin());
    return Ok{};
  }
  Result<Bytes> read_tensor(uint32_t position) override { return inner_->read_tensor(position); }

 private:
  std::unique_ptr<kernels::Engine> inner_;
  std::vector<float> start_;
};

TEST(GhostSteps, OfAnMlpPassEverySpotCheckAndNoReplay) {
  verifier::Job job = test::toy_job();
  job.audit.spot_blocks = 64;
  const auto work = verifier::Work::make(job).value();
  const kernels::Program& program = work.program();
  const Bytes train = test::toy_train();
  verifier::Lease lease;
  lease.job_id = work.id();
  lease.steps = lease.steps_per_share = job.spec.steps_per_lease;
  const std::vector<float> theta = program.initial_theta();
  std::vector<float> before = theta;
  before.resize(program.state_floats());
  const auto engine = [&] {
    return std::move(kernels::make_engine("cpu", program, train, 1).value());
  };
  const verifier::LeaseView at{work, lease, theta};
  Ghost ghost(engine());
  const auto run = verifier::run_share(ghost, at, 0, before).value();
  const auto honest = verifier::run_share(*engine(), at, 0, before).value();
  EXPECT_EQ(verifier::compare_share(run.share, honest).outcome, Outcome::invalid);
  uint32_t later = 0;
  for (uint32_t coin = 0; coin < 5; ++coin) {
    const Digest seed = kernels::blake3(Writer().put(coin).bytes());
    for (const BlockChoice& choice :
         verifier::choose_blocks(program, job.audit, seed, lease.steps, true)) {
      ASSERT_TRUE(ghost.load_state(before, 0));
      const uint32_t step = choice.delta ? lease.steps - 1 : choice.step;
      later += step > 0 ? 1 : 0;
      for (uint32_t h = 0; h <= step; ++h) {
        const Digest key = verifier::step_key(run.share.lease_id, h);
        ASSERT_TRUE(ghost.run_step({lease.round, lease.slot, h}, &key));
      }
      const auto opening =
          verifier::make_opening({at, run, before, run.state_after, train, nullptr, ghost}, choice);
      ASSERT_TRUE(opening) << opening.error().detail;
      EXPECT_EQ(verifier::check_opening(at, run.share, choice, opening.value()).outcome,
                Outcome::valid);
    }
  }
  EXPECT_GT(later, 5U * 64 / 3) << "the coins looked at no ghosts";
}

}  // namespace
}  // namespace gemmine::thefts
