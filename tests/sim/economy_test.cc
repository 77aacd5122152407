// Settlement by the real pool, against every strategy we know, in jobs that end; and against pools
// that are broken in the ways that matter (economics.md §4, §8).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include <gtest/gtest.h>

#include "pool/config/job_file.h"
#include "tests/sim/market.h"
#include "tests/support/paths.h"
#include "verifier/thread/cost.h"

namespace gemmine::sim {
namespace {

// Of each strategy; GEMMINE_JOBS=1000 takes an hour, and errors are a sixth.
int jobs() {
  const char* const wanted = std::getenv("GEMMINE_JOBS");
  return wanted != nullptr ? std::atoi(wanted) : 30;
}
constexpr double kErrors = 4;

// What one of its miners does of it, at least its first batch and a full one.
JobTerms shipped(const std::string& name) {
  const auto file = pool::load_job_file(test::source_dir() + "/configs/jobs/" + name);
  EXPECT_TRUE(file) << file.error().detail;
  const verifier::Job& job = file.value().job;
  const uint32_t all = job.spec.slots * job.spec.rounds;
  JobTerms out{.name = job.name, .leases = all / 4, .audit = job.audit};
  auto spec = job.spec;
  spec.records = kernels::kRecordsMax;
  const auto program = kernels::Program::make(spec);
  out.asked = verifier::thread_pays(program.value(), spec.steps_per_lease);
  if (out.asked) out.leases = job.audit.first_batch + 3 * job.audit.batch_leases / 2;
  return out;
}
// One ticket a batch and nothing else: to the penny what was computed, whatever is stolen.
JobTerms break_even() {
  JobTerms out{.name = "break even", .leases = 20, .audit = {}};
  out.audit.batch_leases = out.audit.first_batch = 10;
  out.audit.replays_ppm = 1'000'000;
  out.audit.fail_ppm = 1'000'000;
  return out;
}
// The same with a thread in the place of the replay.
JobTerms break_even_asked() {
  JobTerms out = break_even();
  out.audit.replays_ppm = 0;
  out.audit.threads = 1;
  out.asked = true;
  return out;
}
const Strategy& named(const std::vector<Strategy>& all, const std::string& name) {
  return *std::ranges::find(all, name, &Strategy::name);
}

void expect_no_profit(const JobTerms& terms, int times) {
  const double best = best_expected(terms, 1, 1);
  EXPECT_NEAR(best, 0, 0.05);  // leases' pay: what a job may leave a thief
  std::printf("  job %s: %u leases, %d times\n", terms.name.c_str(), terms.leases, times);
  std::vector<Strategy> all = strategies();
  if (terms.asked) std::ranges::copy(answering_strategies(), std::back_inserter(all));
  for (const Strategy& strategy : all) {
    EXPECT_NEAR(best_expected(terms, strategy.saved, strategy.convicted), 0, 0.05) << strategy.name;
    const Sample got = play_often(terms, strategy, times);
    std::printf("  %-48s %+7.3f +- %.3f\n", strategy.name.c_str(), got.mean, got.error);
    // What never happened in so many jobs may still happen in three of them, and cost a batch.
    const double unseen = got.error > 0 ? 0 : 3.0 * terms.audit.batch_leases / times;
    EXPECT_LE(got.mean - kErrors * got.error, best + unseen + 1e-9) << strategy.name;
    if (strategy.name == "honest") {
      EXPECT_EQ(got.mean, 0);
      EXPECT_EQ(got.error, 0);
    }
  }
}

TEST(Economy, LeavesNoStrategyAProfitInTheShippedMlp) {
  expect_no_profit(shipped("fashion-mnist.toml"), jobs());
}

TEST(Economy, LeavesNoStrategyAProfitInTheShippedGpt) {
  expect_no_profit(shipped("austen-gpt.toml"), jobs());
}

TEST(Economy, LeavesNoStrategyAProfitInTheShippedLargeJob) {
  const JobTerms terms = shipped("gcide-gpt.toml");
  EXPECT_TRUE(terms.asked);
  expect_no_profit(terms, std::max(10, jobs() / 2));
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

// A thread that is asked for is worth a replay, and who is silent gains nothing by it.
TEST(Economy, AgreesWithTheDynamicProgrammeWhereThreadsAreAsked) {
  const JobTerms terms = break_even_asked();
  EXPECT_NEAR(best_expected(terms, 1, 1), 0, 1e-9);
  std::vector<Strategy> all = answering_strategies();
  all.push_back(named(strategies(), "three in ten stolen"));
  for (const Strategy& strategy : all) {
    if (strategy.saved < 1) continue;
    const Sample got = play_often(terms, strategy, 3 * jobs());
    std::printf("  %-48s %+7.3f +- %.3f\n", strategy.name.c_str(), got.mean, got.error);
    EXPECT_LE(got.mean, kErrors * got.error + 1e-9) << strategy.name;
    // Beyond the budget of a key its silence costs it a lease.
    EXPECT_GE(got.mean, -2 - kErrors * got.error) << strategy.name;
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

TEST(Economy, FindsAPoolThatRunsAnyLeaseForASilentOne) {
  const JobTerms terms = break_even_asked();
  const auto all = answering_strategies();
  const Strategy& half = named(all, "half of all stolen, silent when it is seen");
  const Sample got = play_often(terms, half, 6 * jobs(), Leak::any_lease);
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
