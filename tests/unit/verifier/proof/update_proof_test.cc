// Kind 3: an update that a thread found wrong (PROTOCOL 12.4).
#include <gtest/gtest.h>

#include "tests/support/engine_around.h"
#include "tests/support/thread_stage.h"
#include "tests/unit/verifier/proof/proof_world.h"

namespace gemmine::verifier {
namespace {

using test::convicts;

// An engine that does not move its weights, but for its committed tensors is honest work on them.
class FrozenEngine final : public test::EngineAround {
 public:
  FrozenEngine(std::unique_ptr<kernels::Engine> honest, const kernels::Program& program)
      : EngineAround(std::move(honest)), state_(program.state_floats()) {}
  Status load_state(std::span<const float> state, uint32_t done) override {
    state_.assign(state.begin(), state.end());
    return inner().load_state(state, done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    if (Status status = inner().load_state(state_, key.step); !status) return status.error();
    return inner().run_step(key, step_key);
  }
  Status read_state(std::span<float> state) override {
    std::copy(state_.begin(), state_.end(), state.begin());
    return Ok{};
  }

 private:
  std::vector<float> state_;
};

// A lease with signatures, run by an engine of choice.
struct UpdateWorld {
  UpdateWorld(Job job, Bytes records, bool frozen) : train(std::move(records)) {
    const Work work = Work::make(job).value();
    Lease lease;
    lease.job_id = work.id();
    lease.miner_key = test::toy_identity(7).public_key();
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    const std::vector<float> first = initial_published(work.program());
    const ByteView bytes = as_bytes(std::span<const float>(first));
    published.assign(bytes.begin(), bytes.end());
    lease.theta_root = kernels::blake3(published);
    sign(lease, test::toy_identity(1));
    auto honest = std::move(kernels::make_engine("cpu", work.program(), train, 1).value());
    std::unique_ptr<kernels::Engine> engine = std::move(honest);
    if (frozen) engine = std::make_unique<FrozenEngine>(std::move(engine), work.program());
    stage.emplace(work, lease, train, test::toy_identity(7), std::move(engine));
    for (Share& share : stage->shares)
      sign(share, stage->miner());
    ticket.emplace(stage->ticket(test::thread_seed(1), thread_blocks(job)));
  }
  const Share& share_of(const UpdateClaim& claim) const {
    return ticket->share_of(std::min(claim.step, stage->lease.steps - 1));
  }

  Bytes train;
  Bytes published;
  std::optional<test::ThreadStage> stage;
  std::optional<ThreadCase> ticket;
};

Job short_job(Job job) {
  job.spec.steps_per_lease = 5;
  job.spec.warmup = 1;
  job.steps_per_share = 2;
  return job;
}
UpdateWorld mlp(bool frozen) {
  return {short_job(test::toy_job()), test::toy_train(), frozen};
}
UpdateWorld gpt(bool frozen) {
  const Job job = short_job(test::toy_gpt_job(testing::toy_gpt()));
  return {job, testing::toy_tokens(job.spec), frozen};
}

TEST(UpdateProof, ConvictsFrozenWeights) {
  for (const auto make : {&mlp, &gpt}) {
    UpdateWorld world = make(true);
    const Bytes answer = world.stage->prove(*world.ticket, false).value();
    const ThreadFinding found = world.stage->check(*world.ticket, answer);
    ASSERT_EQ(found.outcome, ThreadOutcome::wrong) << found.detail;
    ASSERT_TRUE(found.update) << found.detail;
    const auto file =
        write_update({world.stage->work, world.stage->lease, world.share_of(*found.update)},
                     *found.update, world.published, world.train);
    ASSERT_TRUE(file.ok()) << file.error().detail;
    const ProofFinding finding = test::decide(file.value());
    EXPECT_TRUE(finding.proven) << finding.words;
    EXPECT_EQ(finding.accused, test::toy_identity(7).public_key());
    EXPECT_LT(file.value().size(), 1'000'000U);
    test::expect_no_flip_convicts(file.value(), 1500);
  }
}

TEST(UpdateProof, AcquitsHonestUpdates) {
  UpdateWorld cheat = gpt(true);
  UpdateWorld honest = gpt(false);
  const Bytes answer = honest.stage->prove(*honest.ticket).value();
  EXPECT_EQ(honest.stage->check(*honest.ticket, answer).outcome, ThreadOutcome::valid);
  // The cheat's claim about the honest miner's lease.
  const Bytes forged = cheat.stage->prove(*cheat.ticket, false).value();
  const UpdateClaim claim = *cheat.stage->check(*cheat.ticket, forged).update;
  const auto file = write_update({cheat.stage->work, cheat.stage->lease, cheat.share_of(claim)},
                                 claim, cheat.published, cheat.train);
  Writer other;
  put_share_case(other, honest.stage->work, honest.stage->lease, honest.share_of(claim));
  const size_t same = other.bytes().size();
  Bytes mixed = seal_proof(ProofKind::update, other.bytes());
  const ByteView rest = ByteView(file.value()).subspan(kProofMagic.size() + 1 + same);
  mixed.insert(mixed.end(), rest.begin(), rest.end());
  EXPECT_FALSE(convicts(mixed));
}

}  // namespace
}  // namespace gemmine::verifier
