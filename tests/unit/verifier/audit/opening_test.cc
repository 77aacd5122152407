#include "verifier/audit/opening.h"

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/engine_around.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

using kernels::TensorKind;

// One honest lease of the toy job, all its shares, and what a prover holds.
class OpeningTest : public testing::Test {
 protected:
  void SetUp() override {
    job_ = test::toy_job();
    train_ = test::toy_train();
    work_ = Work::make(job_).value();
    program_ = work_->program();
    theta_ = program_->initial_theta();
    lease_.job_id = work_->id();
    lease_.round = 1;
    lease_.slot = 1;
    lease_.steps = job_.spec.steps_per_lease;
    lease_.steps_per_share = job_.steps_per_share;
    lease_.id = lease_id(lease_);
    engine_ = std::move(kernels::make_engine("cpu", *program_, train_, 1).value());
    std::vector<float> state(program_->state_floats(), 0.0F);
    std::copy(theta_.begin(), theta_.end(), state.begin());
    for (uint32_t i = 0; i < lease_.shares(); ++i) {
      states_.push_back(state);
      runs_.push_back(run_share(*engine_, at(), i, state).value());
      state = runs_.back().state_after;
    }
  }

  LeaseView at() const { return {*work_, lease_, theta_}; }

  // The engine has to stand right after the block's step.
  void stand(uint32_t share, uint32_t step) {
    const uint32_t first = runs_[share].share.first_step;
    ASSERT_TRUE(engine_->load_state(states_[share], first));
    for (uint32_t h = first; h <= first + step; ++h) {
      const Digest key = step_key(lease_.id, h);
      ASSERT_TRUE(engine_->run_step({lease_.round, lease_.slot, h}, &key));
    }
  }

  Bytes open(uint32_t share, const BlockChoice& choice) {
    stand(share, choice.delta ? runs_[share].share.steps - 1 : choice.step);
    auto opening = make_opening(
        {at(), runs_[share], states_[share], runs_[share].state_after, train_, nullptr, *engine_},
        choice);
    EXPECT_TRUE(opening) << opening.error().detail;
    return opening ? opening.value() : Bytes{};
  }

  Finding check(uint32_t share, const BlockChoice& choice, ByteView opening) {
    return check_opening(at(), runs_[share].share, choice, opening);
  }

  std::vector<BlockChoice> all_blocks(uint32_t step) const {
    std::vector<BlockChoice> out;
    for (uint32_t p = 0; p < program_->tensors().size(); ++p) {
      const auto& tensor = program_->tensors()[p];
      if (!tensor.is_int8() && !tensor.is_checked_f32()) continue;
      for (uint32_t i = 0; i < tiles_down(tensor); ++i)
        for (uint32_t j = 0; j < tiles_across(tensor); ++j)
          out.push_back({.step = tensor.kind == TensorKind::w ? 0 : step,
                         .position = p,
                         .tile_row = i,
                         .tile_col = j});
    }
    return out;
  }

  Job job_;
  Bytes train_;
  std::optional<Work> work_;
  std::optional<kernels::Program> program_;
  std::vector<float> theta_;
  Lease lease_;
  std::unique_ptr<kernels::Engine> engine_;
  std::vector<std::vector<float>> states_;
  std::vector<ShareRun> runs_;
};

TEST_F(OpeningTest, EveryBlockOfAnHonestShareChecks) {
  for (uint32_t share = 0; share < runs_.size(); ++share) {
    const uint32_t step = runs_[share].share.steps - 1;
    for (const BlockChoice& choice : all_blocks(step)) {
      const Finding finding = check(share, choice, open(share, choice));
      EXPECT_EQ(finding.outcome, Outcome::valid) << choice.position << ": " << finding.detail;
    }
  }
}

TEST_F(OpeningTest, EveryDeltaBlockOfTheLastShareChecks) {
  const auto last = static_cast<uint32_t>(runs_.size() - 1);
  const uint64_t blocks = (program_->parameters() + 127) / 128;
  for (uint32_t block = 0; block < blocks; ++block) {
    const BlockChoice choice{.delta = true, .tile_row = block};
    EXPECT_EQ(check(last, choice, open(last, choice)).outcome, Outcome::valid) << block;
  }
}

TEST_F(OpeningTest, NoFlippedBitIsAccepted) {
  const auto position = program_->position(TensorKind::x, 1);
  const BlockChoice choice{.step = 1, .position = position};
  const Bytes honest = open(0, choice);
  ASSERT_EQ(check(0, choice, honest).outcome, Outcome::valid);
  for (size_t i = 0; i < honest.size(); ++i) {
    Bytes bent = honest;
    bent[i] ^= static_cast<uint8_t>(1U << (i % 8));
    EXPECT_NE(check(0, choice, bent).outcome, Outcome::valid) << "byte " << i;
  }
}

// The label is a stranger's byte: one that is no class makes no CHECK fire.
TEST_F(OpeningTest, NoByteOfTheLossGradientStopsTheAuditor) {
  const BlockChoice choice{.step = 1, .position = program_->position(TensorKind::g2, 2)};
  const Bytes honest = open(0, choice);
  for (size_t i = 0; i < honest.size(); ++i) {
    Bytes bent = honest;
    bent[i] = bent[i] == 0xff ? 0 : 0xff;
    EXPECT_NE(check(0, choice, bent).outcome, Outcome::valid) << "byte " << i;
  }
}

TEST_F(OpeningTest, NoTruncationIsAccepted) {
  const BlockChoice choice{.step = 0, .position = program_->position(TensorKind::g2, 2)};
  const Bytes honest = open(0, choice);
  for (size_t size = 0; size < honest.size(); size += 7)
    EXPECT_EQ(check(0, choice, ByteView(honest).first(size)).outcome, Outcome::malformed) << size;
}

TEST_F(OpeningTest, AnOpeningOfAnotherBlockIsMalformed) {
  const auto x1 = program_->position(TensorKind::x, 1);
  const BlockChoice asked{.step = 1, .position = x1, .tile_row = 0};
  const BlockChoice other{.step = 1, .position = x1, .tile_row = 2};
  EXPECT_EQ(check(0, asked, open(0, other)).outcome, Outcome::malformed);
}

TEST_F(OpeningTest, AnOpeningOfAnotherStepIsInvalid) {
  const auto x1 = program_->position(TensorKind::x, 1);
  const BlockChoice asked{.step = 1, .position = x1};
  const BlockChoice other{.step = 0, .position = x1};
  EXPECT_NE(check(0, asked, open(0, other)).outcome, Outcome::valid);
}

// A miner that commits consistently to something else than its inputs give.
TEST_F(OpeningTest, AConsistentLieIsInvalidAndNamesTheElement) {
  class Liar : public test::EngineAround {
   public:
    Liar(std::unique_ptr<kernels::Engine> inner, uint32_t position)
        : EngineAround(std::move(inner)), position_(position) {}
    Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
      auto result = inner().run_step(key, step_key);
      result.value().roots[position_] =
          kernels::blake3_keyed(*step_key, read_tensor(position_).value());
      return result;
    }
    Result<Bytes> read_tensor(uint32_t position) override {
      auto bytes = inner().read_tensor(position);
      if (position == position_) bytes.value()[5] ^= 1;
      return bytes;
    }

   private:
    uint32_t position_;
  };
  for (const TensorKind kind : {TensorKind::x, TensorKind::g1, TensorKind::g2}) {
    const uint32_t position = program_->position(kind, 1);
    Liar liar(std::move(kernels::make_engine("cpu", *program_, train_, 1).value()), position);
    const auto run = run_share(liar, at(), 0, states_[0]).value();
    const BlockChoice choice{.step = run.share.steps - 1, .position = position};
    ProverView view{at(), run, states_[0], run.state_after, train_, nullptr, liar};
    EXPECT_EQ(make_opening(view, choice).error().code, Errc::invalid);
    view.check_own = false;
    const Bytes lie = make_opening(view, choice).value();
    const Finding finding = check_opening(at(), run.share, choice, lie);
    EXPECT_EQ(finding.outcome, Outcome::invalid);
    EXPECT_EQ(finding.step, 1u);
    EXPECT_NE(finding.detail.find("[0,5]"), std::string::npos) << finding.detail;
  }
}

}  // namespace
}  // namespace gemmine::verifier
