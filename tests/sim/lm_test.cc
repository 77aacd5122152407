// A language model trained by devices of very different speed, in bad weather: stragglers, guests
// who come late or leave, a pool that crashes, an outer step with momentum, shares of adaptive
// size.
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/sim/history.h"

namespace gemmine::sim {
namespace {

constexpr uint64_t kSeeds = 24;
constexpr Setting kLm{.gpt = true, .share_ms = 3'300};

double mean(const std::vector<uint32_t>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// SIM_SEED=n runs that seed alone.
TEST(LmSimulation, EndsWithTheSameWeightsInAllWeathers) {
  const char* const only = std::getenv("SIM_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t last = only != nullptr ? first : kSeeds;
  Outcome all;
  uint64_t cheated = 0;
  std::set<Digest> roots;
  std::map<uint32_t, std::vector<uint32_t>> later_sizes;  // after a device's first lease
  for (uint64_t seed = first; seed <= last; ++seed) {
    Outcome one = simulate(seed, Plant::none, kLm);
    for (const std::string& failure : one.failures)
      ADD_FAILURE() << "SIM_SEED=" << seed << ": " << failure;
    roots.insert(one.theta_root);
    cheated += one.cheated ? 1 : 0;
    all.crashes += one.crashes;
    all.expired += one.expired;
    all.leased_again += one.leased_again;
    all.arrivals.merge(one.arrivals);
    for (const auto& [step_ms, sizes] : one.share_sizes)
      if (!sizes.empty())
        later_sizes[step_ms].insert(later_sizes[step_ms].end(), sizes.begin() + 1, sizes.end());
  }
  std::printf(
      "%llu seeds, %llu with a cheat, %u crashes, %u leases expired, %u slots leased again, "
      "%zu orders of deltas\n",
      static_cast<unsigned long long>(last - first + 1), static_cast<unsigned long long>(cheated),
      all.crashes, all.expired, all.leased_again, all.arrivals.size());
  for (const auto& [step_ms, sizes] : later_sizes)
    if (!sizes.empty())
      std::printf("a step takes %u ms: %.2f steps a share\n", step_ms, mean(sizes));
  if (only != nullptr) return;
  EXPECT_EQ(roots.size(), 1U) << "the order of deltas, or who made them, changes the weights";
  EXPECT_GT(cheated, kSeeds / 2);
  EXPECT_GT(all.crashes, kSeeds);
  EXPECT_GT(all.expired, kSeeds / 2);
  EXPECT_GE(all.leased_again, all.expired / 2);
  EXPECT_GT(all.arrivals.size(), 12U) << "of 24";
  // 3.3 seconds are two leases of the fast device, of which a share is a quarter at most, one step
  // or two of the middle one, and less than one of the slow.
  EXPECT_GT(mean(later_sizes[kFastStepMs]), 1.8);
  EXPECT_LT(mean(later_sizes[kMiddleStepMs]), 1.5);
  EXPECT_LT(mean(later_sizes[kSlowStepMs]), 1.3);
}

TEST(LmSimulation, FindsAMergeThatForgetsTheVelocity) {
  const Outcome outcome = simulate(1, Plant::no_velocity, kLm);
  ASSERT_FALSE(outcome.failures.empty());
  EXPECT_NE(outcome.failures[0].find("other weights than honest work"), std::string::npos)
      << outcome.failures[0];
}

}  // namespace
}  // namespace gemmine::sim
