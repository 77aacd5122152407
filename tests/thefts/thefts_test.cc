// What a careful thief of a gpt's work risks: every theft's rate of detection, counted and
// measured.
#include "tests/thefts/thefts.h"

#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/support/toy_gpt_job.h"
#include "tests/thefts/detection.h"
#include "tests/thefts/masked_attention.h"
#include "verifier/records/coin.h"

namespace gemmine::thefts {
namespace {

using verifier::AuditKind;
using verifier::BlockChoice;
using verifier::Outcome;

constexpr uint32_t kCoins = 300;
// A measured count may lie this many standard deviations from what was counted: by chance, one
// theft in 10⁵ would.
constexpr double kSigmasMax = 4.5;

// One lease of one share of two steps, audited as configs/jobs/austen-gpt.toml says.
verifier::Job toy() {
  verifier::Job job = test::toy_gpt_job(testing::toy_gpt());
  job.spec.gpt.blocks = 3;
  job.spec.optimiser = kernels::Optimiser::sgd;
  job.spec.lr = 0.05F;
  job.spec.steps_per_lease = job.steps_per_share = 2;
  job.audit.replay_ppm = 120'000;
  job.audit.spot_ppm = 500'000;
  job.audit.spot_blocks = 4;
  job.audit.probation_shares = 0;
  const Bytes tokens = testing::toy_tokens(job.spec);
  job.train_address = kernels::blake3(tokens);
  return job;
}

// The shape and the shares of configs/jobs/austen-gpt.toml.
kernels::Program austen() {
  kernels::Spec spec = testing::toy_gpt();
  spec.gpt = {
      .vocabulary = 256, .width = 128, .heads = 4, .hidden = 512, .blocks = 4, .context = 128};
  spec.batch = 8;
  return kernels::Program::make(spec).value();
}
constexpr double kAustenSteps = 5;  // of a share

bool agrees(double measured, double expected, double count) {
  const double sigma = std::sqrt(count * expected * (1 - expected));
  return std::fabs(measured - count * expected) <= kSigmasMax * sigma;
}

struct Measured {
  uint32_t blocks = 0;
  uint32_t wrong_blocks = 0;
  uint32_t spot_audits = 0;
  uint32_t caught = 0;  // shares, by replay or spot
};

Measured measure(StolenShare& share, uint32_t theft) {
  Measured out;
  const bool replay_catches =
      verifier::compare_share(share.run().share, share.honest()).outcome == Outcome::invalid;
  for (uint32_t i = 0; i < kCoins; ++i) {
    const Digest seed = kernels::blake3(Writer().put(theft).put(i).bytes());
    const AuditKind kind = verifier::audit_kind(share.job().audit, seed, 0);
    if (kind == AuditKind::replay && replay_catches) ++out.caught;
    if (kind != AuditKind::spot) continue;
    ++out.spot_audits;
    bool caught = false;
    for (const BlockChoice& choice :
         verifier::choose_blocks(share.program(), share.job().audit, seed, 2, true)) {
      const bool wrong = share.open_and_check(choice) != Outcome::valid;
      // Not only as often as counted: the very tiles that were counted.
      EXPECT_EQ(wrong, !choice.delta && share.check(choice) != Outcome::valid);
      ++out.blocks;
      out.wrong_blocks += wrong ? 1 : 0;
      caught |= wrong;
    }
    out.caught += caught ? 1 : 0;
  }
  return out;
}

// A row of the table in verifier/README.md.
void print(const Theft& theft, const verifier::AuditPolicy& policy) {
  static const kernels::Program program = austen();
  const double blocks = program.spec().gpt.blocks;
  const double rate = theft.wrong(blocks, kAustenSteps) / (31 * blocks + 10);
  std::printf(
      "| %s: %s | %.0f %% | %g | %.1f %% | %.0f %% | %.1f %% |\n", theft.name.c_str(),
      theft.how.c_str(),
      100 * theft.saved_macs(program, kAustenSteps) / static_cast<double>(program.macs_per_step()),
      theft.wrong(blocks, kAustenSteps), 100 * spot_rate(rate, 4), 100 * spot_rate(rate, 64),
      100 * share_rate(policy, rate));
}

TEST(Thefts, AreFoundAsOftenAsCounted) {
  const verifier::Job job = toy();
  const Bytes tokens = testing::toy_tokens(job.spec);
  const double blocks = job.spec.gpt.blocks;
  uint32_t number = 0;
  for (const Theft& theft : all_thefts(job.spec.gpt.context)) {
    SCOPED_TRACE(theft.name);
    StolenShare share(job, tokens, theft);
    EXPECT_EQ(share.checks(), 31 * blocks + 10 + 1);  // 10.11's list and the delta
    const double rate = share.block_rate();
    const double by_hand = theft.wrong(blocks, 2) / share.checks();
    if (theft.in_part) {
      EXPECT_GE(rate, by_hand);
    } else {
      EXPECT_NEAR(rate, by_hand, 1e-12);
    }
    const Measured found = measure(share, number++);
    EXPECT_GT(found.spot_audits, kCoins / 3);
    EXPECT_TRUE(agrees(found.wrong_blocks, rate, found.blocks))
        << found.wrong_blocks << " of " << found.blocks << ", expected " << rate * found.blocks;
    const double of_share = share_rate(job.audit, rate);
    EXPECT_TRUE(agrees(found.caught, of_share, kCoins)) << found.caught << " of " << kCoins;
    std::printf(
        "%-22s %5.2f tensors: blocks %5.2f %% counted, %5.2f %% measured;  "
        "shares %4.1f %%, %4.1f %%\n",
        theft.name.c_str(), rate * share.checks(), 100 * rate,
        100.0 * found.wrong_blocks / found.blocks, 100 * of_share, 100.0 * found.caught / kCoins);
  }
}

// verifier/README.md: build/tests/thefts_test --gtest_filter='*Table*'
TEST(Thefts, HaveATable) {
  for (const Theft& theft : all_thefts(austen().spec().gpt.context))
    print(theft, toy().audit);
}

// The thief's way to derive a step is the engine's, where he steals nothing.
TEST(Thief, WithoutATheftIsTheHonestMiner) {
  const verifier::Job job = toy();
  const Bytes tokens = testing::toy_tokens(job.spec);
  const Mask all = [](uint32_t, uint32_t) { return true; };
  Theft full_mask;
  full_mask.bend = [&](Draft& draft) { bend_attention(draft, all); };
  for (const Theft& theft : {Theft{}, full_mask}) {
    const StolenShare share(job, tokens, theft);
    EXPECT_EQ(share.run().share.trace_root, share.honest().share.trace_root);
    EXPECT_EQ(share.block_rate(), 0);
  }
}

TEST(Thefts, AreAllFoundByAReplay) {
  const verifier::Job job = toy();
  const Bytes tokens = testing::toy_tokens(job.spec);
  for (const Theft& theft : all_thefts(job.spec.gpt.context)) {
    const StolenShare share(job, tokens, theft);
    EXPECT_EQ(verifier::compare_share(share.run().share, share.honest()).outcome, Outcome::invalid)
        << theft.name;
  }
}

}  // namespace
}  // namespace gemmine::thefts
