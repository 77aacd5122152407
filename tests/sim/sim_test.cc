// Many seeds, each a small history of a pool in bad weather, and what must hold in all of them.
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/sim/history.h"

namespace gemmine::sim {
namespace {

constexpr uint64_t kSeeds = 200;

// SIM_SEED=n runs that seed alone.
TEST(Simulation, EndsWellInAllWeathers) {
  const char* const only = std::getenv("SIM_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t last = only != nullptr ? first : kSeeds;
  uint64_t cheated = 0;
  uint64_t subtracted = 0;
  uint64_t crashes = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = simulate(seed);
    for (const std::string& failure : outcome.failures)
      ADD_FAILURE() << "SIM_SEED=" << seed << ": " << failure;
    cheated += outcome.cheated ? 1 : 0;
    subtracted += outcome.subtracted;
    crashes += outcome.crashes;
  }
  std::printf("%llu seeds, %llu with a cheat, %llu deltas taken out, %llu crashes of the pool\n",
              static_cast<unsigned long long>(last - first + 1),
              static_cast<unsigned long long>(cheated), static_cast<unsigned long long>(subtracted),
              static_cast<unsigned long long>(crashes));
  if (only != nullptr) return;
  // A weather in which nothing happens proves nothing.
  EXPECT_GT(cheated, kSeeds / 2);
  EXPECT_GT(subtracted, 0U);
  EXPECT_GT(crashes, kSeeds / 2);
}

// F01, F02, A13: devices are slow, machines fail, the escrow runs dry again and again. Nobody
// honest is banned, cheats are found, and the job comes to its end.
TEST(Simulation, IsKindToTheSlowTheFailingAndThePoor) {
  constexpr Setting kHard{.hard = true};
  const char* const only = std::getenv("SIM_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t last = only != nullptr ? first : 60;
  Outcome all;
  uint64_t cheated = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    const Outcome one = simulate(seed, Plant::none, kHard);
    for (const std::string& failure : one.failures)
      ADD_FAILURE() << "SIM_SEED=" << seed << ": " << failure;
    cheated += one.cheated ? 1 : 0;
    all.settled += one.settled;
    all.given_back += one.given_back;
    all.fundings += one.fundings;
  }
  std::printf(
      "%llu seeds, %llu with a cheat, %u batches settled, %u leases given back, %u fundings\n",
      static_cast<unsigned long long>(last - first + 1), static_cast<unsigned long long>(cheated),
      all.settled, all.given_back, all.fundings);
  if (only != nullptr) return;
  EXPECT_GT(cheated, 30U);
  EXPECT_GT(all.settled, 3 * 60U);
  EXPECT_GT(all.given_back, 20U);
  EXPECT_GT(all.fundings, 3 * 60U);
}

bool found(Plant plant, const std::string& words) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    for (const std::string& failure : simulate(seed, plant).failures) {
      if (failure.find(words) != std::string::npos) return true;
    }
  }
  return false;
}

TEST(Simulation, FindsAPoolThatSpeaksBeforeItWrites) {
  EXPECT_TRUE(found(Plant::early_words, "acknowledged before it was in the ledger"));
}

TEST(Simulation, FindsADiskThatForgets) {
  EXPECT_TRUE(found(Plant::lost_tail, "forgot a share that it had acknowledged"));
  EXPECT_TRUE(found(Plant::lost_tail, "forgot records that it had published"));
}

}  // namespace
}  // namespace gemmine::sim
