// Settlement by the real pool, against every strategy we know, in jobs that end; and against pools
// that are broken in the ways that matter (economics.md §4, §8).
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "pool/config/job_file.h"
#include "tests/sim/market.h"
#include "tests/support/paths.h"

namespace gemmine::sim {
namespace {

// Of each strategy; GEMMINE_JOBS=1000 takes an hour, and errors are a sixth.
int jobs() {
  const char* const wanted = std::getenv("GEMMINE_JOBS");
  return wanted != nullptr ? std::atoi(wanted) : 30;
}
constexpr double kErrors = 4;

JobTerms shipped(const std::string& name) {
  const auto job = pool::load_job_file(test::source_dir() + "/configs/jobs/" + name);
  EXPECT_TRUE(job) << job.error().detail;
  return {.leases = job.value().job.spec.slots * job.value().job.spec.rounds / 4,
          .audit = job.value().job.audit};
}
// One ticket a batch and nothing else: to the penny what was computed, whatever is stolen.
JobTerms break_even() {
  JobTerms out{.leases = 20, .audit = {}};
  out.audit.batch_leases = out.audit.first_batch = 10;
  out.audit.replays_ppm = 1'000'000;
  out.audit.fail_ppm = 1'000'000;
  return out;
}
const Strategy& named(const std::vector<Strategy>& all, const std::string& name) {
  return *std::ranges::find(all, name, &Strategy::name);
}

void expect_no_profit(const JobTerms& terms) {
  const double best = best_expected(terms, 1, 1);
  EXPECT_NEAR(best, 0, 0.05);  // leases' pay: what a job may leave a thief
  for (const Strategy& strategy : strategies()) {
    const Sample got = play_often(terms, strategy, jobs());
    std::printf("  %-48s %+7.3f +- %.3f\n", strategy.name.c_str(), got.mean, got.error);
    EXPECT_LE(got.mean - kErrors * got.error, best + 1e-9) << strategy.name;
    if (strategy.name == "honest") {
      EXPECT_EQ(got.mean, 0);
      EXPECT_EQ(got.error, 0);
    }
  }
}

TEST(Economy, LeavesNoStrategyAProfitInTheShippedMlp) {
  expect_no_profit(shipped("fashion-mnist.toml"));
}

TEST(Economy, LeavesNoStrategyAProfitInTheShippedGpt) {
  expect_no_profit(shipped("austen-gpt.toml"));
}

// Here the dynamic programme says 0 for every one of them, in both directions.
TEST(Economy, AgreesWithTheDynamicProgramme) {
  const JobTerms terms = break_even();
  EXPECT_NEAR(best_expected(terms, 1, 1), 0, 1e-9);
  for (const Strategy& strategy : strategies()) {
    if (strategy.saved < 1) continue;
    const Sample got = play_often(terms, strategy, 3 * jobs());
    std::printf("  %-48s %+7.3f +- %.3f\n", strategy.name.c_str(), got.mean, got.error);
    EXPECT_NEAR(got.mean, 0, kErrors * got.error + 1e-9) << strategy.name;
  }
}

// Theft that saves a part loses the rest: the programme says how much is left of nothing.
TEST(Economy, PaysALeniencyThatIsTooCheap) {
  JobTerms terms = break_even();
  terms.audit.fail_ppm = 100'000;
  EXPECT_GT(best_expected(terms, 1, 1), 1);
}

TEST(Economy, FindsAPoolThatDrawsBeforeTheLastLease) {
  const JobTerms terms = break_even();
  const auto all = strategies();
  const Sample got = play_often(terms, named(all, "three in ten stolen"), jobs(), Leak::early_draw);
  EXPECT_GT(got.mean - kErrors * got.error, 1) << got.mean;
}

TEST(Economy, FindsAPoolThatSkipsWhenItIsBusy) {
  const JobTerms terms = break_even();
  const auto all = strategies();
  const Sample got = play_often(terms, named(all, "always steal"), jobs(), Leak::busy_skips);
  EXPECT_GT(got.mean - kErrors * got.error, 1) << got.mean;
}

}  // namespace
}  // namespace gemmine::sim
