// Every kind of tile of a gpt is opened, checked from the opened bytes alone, and refused when it
// was committed to wrongly (PROTOCOL 10.11).
#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

namespace toys = ::gemmine::testing;
using kernels::Spec;
using kernels::TensorInfo;
using kernels::TensorKind;

// Commits to other bytes of one tensor than its inner engine computed: a cheat who is honest about
// everything else.
class BentEngine final : public kernels::Engine {
 public:
  explicit BentEngine(std::unique_ptr<kernels::Engine> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return "bent"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    return inner_->load_state(state, steps_done);
  }
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override {
    auto result = inner_->run_step(key, step_key);
    if (result && step_key != nullptr && bend_)
      result.value().roots[position_] =
          kernels::blake3_keyed(*step_key, read_tensor(position_).value());
    return result;
  }
  Status read_state(std::span<float> state) override { return inner_->read_state(state); }
  Result<Bytes> read_tensor(uint32_t position) override {
    auto bytes = inner_->read_tensor(position);
    if (bytes && bend_ && position == position_) bend_(bytes.value());
    return bytes;
  }
  void bend(uint32_t position, std::function<void(Bytes&)> how) {
    position_ = position;
    bend_ = std::move(how);
  }

 private:
  std::unique_ptr<kernels::Engine> inner_;
  uint32_t position_ = 0;
  std::function<void(Bytes&)> bend_;
};

Spec of_one_share(Spec spec) {
  spec.steps_per_lease = 2;
  return spec;
}

struct Prover {
  explicit Prover(const Spec& spec) : job(test::toy_job()) {
    job.spec = of_one_share(spec);
    job.steps_per_share = 2;
    train = toys::toy_tokens(job.spec);
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
    const TensorInfo& tensor = program->tensors()[position];
    return {.step = reads_state_before(tensor) ? 0U : 1U,
            .position = position,
            .tile_row = row,
            .tile_col = col,
            .group = group};
  }
  std::string name(uint32_t position) const {
    const TensorInfo& tensor = program->tensors()[position];
    return std::string(kernels::tensor_name(tensor.kind)) + "_" + std::to_string(tensor.layer);
  }
  bool checked(uint32_t position) const {
    const TensorInfo& tensor = program->tensors()[position];
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

std::vector<Spec> specs() {
  Spec wide_heads = toys::toy_gpt();
  wide_heads.gpt.width = 128;
  wide_heads.gpt.heads = 1;
  wide_heads.gpt.blocks = 1;
  wide_heads.gpt.norm = kernels::Norm::layer;
  wide_heads.batch = 1;  // one run of V's and GO's columns
  return {toys::toy_gpt(), toys::toy_gpt_tied(), wide_heads};
}

TEST(GptOpening, EveryKindOfTileOfAnHonestShareChecks) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    size_t opened = 0;
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      const TensorInfo& tensor = prover.program->tensors()[p];
      if (!prover.checked(p)) continue;
      const uint32_t last_row = tensor.tile_rows() - 1;
      const uint32_t last_col = (tensor.cols + tile_width(tensor) - 1) / tile_width(tensor) - 1;
      for (const auto& [row, col] : std::set<std::pair<uint32_t, uint32_t>>{
               {0, 0}, {last_row, 0}, {0, last_col}, {last_row, last_col}}) {
        for (const uint32_t group : {0U, 1U}) {
          const BlockChoice choice = prover.choice(p, row, col, group);
          const auto opening = prover.open(choice);
          ASSERT_TRUE(opening) << prover.name(p) << ": " << opening.error().detail;
          const Finding finding = prover.check(choice, opening.value());
          ASSERT_EQ(finding.outcome, Outcome::valid) << prover.name(p) << ": " << finding.detail;
          ++opened;
        }
      }
    }
    EXPECT_GT(opened, prover.program->tensors().size());
  }
}

TEST(GptOpening, WhatTheCoinDrawsCanBeOpened) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    AuditPolicy policy = prover.job.audit;
    policy.spot_blocks = 64;
    for (uint8_t seed = 0; seed < 4; ++seed) {
      Digest digest;
      digest.bytes.fill(seed);
      for (const BlockChoice& choice : choose_blocks(*prover.program, policy, digest, 2, true)) {
        if (choice.delta) continue;
        const auto opening = prover.open(choice);
        ASSERT_TRUE(opening) << prover.name(choice.position) << ": " << opening.error().detail;
        const Finding finding = prover.check(choice, opening.value());
        ASSERT_EQ(finding.outcome, Outcome::valid)
            << prover.name(choice.position) << ": " << finding.detail;
      }
    }
  }
}

// One element off by one, committed to like the rest: its own tile tells.
TEST(GptOpening, OneWrongElementOfAnyTensorIsFound) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      if (!prover.checked(p)) continue;
      const bool int8 = prover.program->tensors()[p].is_int8();
      prover.engine->bend(p, [int8](Bytes& bytes) {
        // An f32 is little-endian: its lowest bit; an int8 goes one towards zero or away from it.
        if (int8) {
          const auto q = static_cast<int8_t>(bytes[0]);
          bytes[0] = static_cast<uint8_t>(q > 0 ? q - 1 : q + 1);
        } else {
          bytes[0] ^= 1;
        }
      });
      prover.run();
      const BlockChoice choice = prover.choice(p, 0, 0);
      EXPECT_FALSE(prover.open(choice)) << "an honest miner would not send it: " << prover.name(p);
      const auto opening = prover.open(choice, false);
      ASSERT_TRUE(opening) << prover.name(p);
      EXPECT_EQ(prover.check(choice, opening.value()).outcome, Outcome::invalid) << prover.name(p);
    }
  }
}

// A scale twice as large, or NaN, in any int8 tensor.
TEST(GptOpening, AWrongScaleIsFound) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      if (!prover.program->tensors()[p].is_int8()) continue;
      for (const float factor : {2.0F, std::numeric_limits<float>::quiet_NaN()}) {
        bool zero = false;
        prover.engine->bend(p + 1, [&](Bytes& bytes) {
          float s = 0;
          std::memcpy(&s, bytes.data(), sizeof s);
          zero = s == 0.0F;
          s = s * factor;
          std::memcpy(bytes.data(), &s, sizeof s);
        });
        prover.run();
        const BlockChoice choice = prover.choice(p, 0, 0);
        const auto opening = prover.open(choice, false);
        if (!opening) {  // no element attains it, so there is no witness to name
          EXPECT_NE(opening.error().code, Errc::undecided) << prover.name(p);
          continue;
        }
        if (zero && factor == 2.0F) continue;
        EXPECT_NE(prover.check(choice, opening.value()).outcome, Outcome::valid) << prover.name(p);
      }
    }
  }
}

TEST(GptOpening, NoFlippedBitAndNoTruncationIsAccepted) {
  Prover prover(toys::toy_gpt());
  for (const auto& [kind, layer] : {std::pair{TensorKind::g1, 0U},
                                    {TensorKind::d_residual, 1U},
                                    {TensorKind::v, 0U},
                                    {TensorKind::loss_sum, 0U}}) {
    const BlockChoice choice = prover.choice(prover.program->position(kind, layer), 1, 0);
    const Bytes honest = prover.open(choice).value();
    ASSERT_EQ(prover.check(choice, honest).outcome, Outcome::valid);
    for (size_t i = 0; i < honest.size(); i += 1 + i / 64) {
      Bytes bent = honest;
      bent[i] ^= static_cast<uint8_t>(1U << (i % 8));
      EXPECT_NE(prover.check(choice, bent).outcome, Outcome::valid) << "byte " << i;
    }
    for (size_t size = 0; size < honest.size(); size += 97)
      EXPECT_EQ(prover.check(choice, ByteView(honest).first(size)).outcome, Outcome::malformed);
  }
}

TEST(GptOpening, AnF32TensorHasNoWitness) {
  Prover prover(toys::toy_gpt());
  const BlockChoice choice = prover.choice(prover.program->position(TensorKind::row_max, 0), 0, 0);
  EXPECT_EQ(prover.check(choice, prover.open(choice).value()).outcome, Outcome::valid);
  // A tile of another place than the one drawn.
  BlockChoice other = choice;
  other.tile_row = 1;
  EXPECT_NE(prover.check(other, prover.open(choice).value()).outcome, Outcome::valid);
}

// The bound of 10.14 is one: what the longest rows of attention open to stays under it.
TEST(GptOpening, TheBoundOfAttentionHoldsForALongContext) {
  Spec spec = toys::toy_gpt();
  spec.gpt = {
      .vocabulary = 16, .width = 64, .heads = 2, .hidden = 16, .blocks = 1, .context = 1024};
  spec.batch = 2;
  Prover prover(spec);
  const uint64_t paths_max = 160 * 1024;
  size_t largest = 0;
  for (const auto& [kind, layer] : {std::pair{TensorKind::g1, 0U},
                                    {TensorKind::g2, 0U},
                                    {TensorKind::delta_dot, 0U},
                                    {TensorKind::row_sum, 0U}}) {
    const uint32_t position = prover.program->position(kind, layer);
    const TensorInfo& tensor = prover.program->tensors()[position];
    for (const uint32_t row : {0U, tensor.tile_rows() - 1})
      for (uint32_t col = 0; col * tile_width(tensor) < tensor.cols; ++col) {
        const BlockChoice choice = prover.choice(position, row, col);
        const auto opening = prover.open(choice);
        ASSERT_TRUE(opening) << opening.error().detail;
        EXPECT_EQ(prover.check(choice, opening.value()).outcome, Outcome::valid);
        largest = std::max(largest, opening.value().size());
      }
  }
  EXPECT_LE(largest, spec.gpt.opening_bytes() + paths_max);
  EXPECT_GE(largest, spec.gpt.opening_bytes() / 4) << "the bound says nothing";
  EXPECT_LE(kernels::kAttentionOpeningMax + paths_max, kOpeningBytesMax);
}

}  // namespace
}  // namespace gemmine::verifier
