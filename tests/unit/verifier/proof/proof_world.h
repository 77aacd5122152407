// A pool and a miner who can be honest or not, and what an accuser has seen of them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/engine_around.h"
#include "tests/support/toy_gpt_job.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/replay.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/evidence.h"
#include "verifier/proof/proof.h"
#include "verifier/proof/write.h"
#include "verifier/records/trace.h"

namespace gemmine::test {

// An engine whose tensors can be bent after each step: what a cheat commits to.
class BentEngine final : public test::EngineAround {
 public:
  // Changes the committed bytes of one tensor of one step.
  struct Lie {
    uint32_t step = 0;
    uint32_t position = 0;
    uint64_t byte = 0;
    uint8_t flip = 1;
    std::optional<uint64_t> moves = {};  // instead: this parameter, after the step
  };
  BentEngine(std::unique_ptr<kernels::Engine> honest, const kernels::Program& program,
             std::optional<Lie> lie)
      : EngineAround(std::move(honest)), program_(program), lie_(lie) {}

  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    auto out = inner().run_step(key, step_key);
    step_ = key.step;
    if (out && lie_ && lie_->moves && lie_->step == step_) {
      std::vector<float> state(program_.state_floats());
      EXPECT_TRUE(inner().read_state(state).ok());
      state[*lie_->moves] += 0.0625F;
      EXPECT_TRUE(inner().load_state(state, step_ + 1).ok());
      return out;
    }
    if (out && step_key != nullptr && lie_ && lie_->step == step_)
      out.value().roots[lie_->position] =
          kernels::blake3_keyed(*step_key, read_tensor(lie_->position).value());
    return out;
  }
  Result<Bytes> read_tensor(uint32_t position) override {
    auto out = inner().read_tensor(position);
    if (out && lie_ && !lie_->moves && lie_->step == step_ && lie_->position == position)
      out.value().at(lie_->byte) ^= lie_->flip;
    return out;
  }

 private:
  const kernels::Program& program_;
  const std::optional<Lie> lie_;
  uint32_t step_ = 0;
};

// One lease of a toy job, run by a miner, and what an opening is made from.
struct ProvenLease {
  ProvenLease(const verifier::Job& job, Bytes records, std::optional<BentEngine::Lie> told)
      : work(verifier::Work::make(job).value()), train(std::move(records)), lie(told) {
    const std::vector<float> published = verifier::initial_published(program());
    const auto floats = verifier::theta_of(program(), published);
    theta.assign(floats.begin(), floats.end());
    const ByteView bytes = as_bytes(std::span<const float>(published));
    published_bytes.assign(bytes.begin(), bytes.end());
    lease.job_id = work.id();
    lease.miner_key = miner.public_key();
    lease.theta_root = kernels::blake3(published_bytes);
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    lease.issued_ms = 1;
    lease.deadline_ms = 2;
    verifier::sign(lease, pool);
    engine = make_engine();
    run_to(lease.shares());
  }

  const kernels::Program& program() const { return work.program(); }
  verifier::LeaseView at() const { return {work, lease, theta}; }
  verifier::AccusedShare accused(uint32_t share) const { return {work, lease, runs[share].share}; }
  std::unique_ptr<kernels::Engine> make_engine() const {
    return std::make_unique<BentEngine>(
        std::move(kernels::make_engine("cpu", program(), train, 1).value()), program(), lie);
  }
  void run_to(uint32_t shares) {
    std::vector<float> state = verifier::start_state(program(), theta);
    for (uint32_t i = 0; i < shares; ++i) {
      states.push_back(state);
      runs.push_back(verifier::run_share(*engine, at(), i, state).value());
      verifier::sign(runs.back().share, miner);
      state = runs.back().state_after;
    }
  }
  // The engine has to stand right after the step whose tensors are opened.
  verifier::ProverView stand(uint32_t share, uint32_t step) {
    const uint32_t first = runs[share].share.first_step;
    EXPECT_TRUE(engine->load_state(states[share], first).ok());
    for (uint32_t h = first; h <= first + step; ++h) {
      const Digest key = verifier::step_key(lease.id, h);
      EXPECT_TRUE(engine->run_step({lease.round, lease.slot, h}, &key).ok());
    }
    return {at(),  runs[share], states[share], runs[share].state_after,
            train, nullptr,     *engine,       false};
  }
  Bytes block_proof(uint32_t share, const verifier::BlockChoice& choice) {
    const uint32_t step = choice.delta ? runs[share].share.steps - 1 : choice.step;
    const Bytes opening = verifier::make_evidence(stand(share, step), choice).value();
    return verifier::write_block(accused(share), choice, opening, published_bytes, nullptr);
  }

  verifier::Identity pool = toy_identity(1);
  verifier::Identity miner = toy_identity(2);
  verifier::Work work;
  Bytes train;
  std::optional<BentEngine::Lie> lie;
  std::vector<float> theta;
  Bytes published_bytes;
  verifier::Lease lease;
  std::unique_ptr<kernels::Engine> engine;
  std::vector<std::vector<float>> states;
  std::vector<verifier::ShareRun> runs;
};

inline ProvenLease toy_lease_of(std::optional<BentEngine::Lie> lie) {
  return {toy_job(), toy_train(), lie};
}

// Decides, and expects that the file is one.
inline verifier::ProofFinding decide(ByteView file) {
  const auto finding = verifier::decide_proof(file, toy_identity(1).public_key());
  EXPECT_TRUE(finding.ok()) << finding.error().detail;
  return finding ? finding.value() : verifier::ProofFinding{};
}
inline bool convicts(ByteView file) {
  const auto finding = verifier::decide_proof(file, toy_identity(1).public_key());
  return finding && finding.value().proven;
}

// No bit of a proof can be changed so that it still proves something: `samples` of its bits, evenly
// spread, and all of its first and last bytes.
inline void expect_no_flip_convicts(const Bytes& file, size_t samples) {
  ASSERT_TRUE(convicts(file)) << "the proof itself does not prove anything";
  const size_t bits = file.size() * 8;
  const size_t stride = std::max<size_t>(1, bits / samples);
  for (size_t bit = 0; bit < bits; bit += (bit < 2048 || bit + 2048 > bits) ? 1 : stride) {
    Bytes bent = file;
    bent[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(convicts(bent)) << "bit " << bit;
  }
}

}  // namespace gemmine::test
