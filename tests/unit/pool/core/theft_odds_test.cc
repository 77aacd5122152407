#include "pool/core/theft_odds.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

verifier::Job job_of(uint32_t replay_ppm, uint32_t steps, uint32_t share, uint32_t vest) {
  verifier::Job job;
  job.spec.steps_per_lease = steps;
  job.steps_per_share = share;
  job.audit.replay_ppm = replay_ppm;
  job.audit.vest_leases = vest;
  return job;
}

// The thief's life as the ledger tells it: a coin a share, and the oldest lease vests when more
// than vest_leases are unvested.
double lived(const verifier::Job& job, uint32_t shares) {
  std::mt19937 random(7);
  constexpr int kThieves = 40'000;
  uint64_t paid = 0;
  for (int thief = 0; thief < kThieves; ++thief) {
    uint32_t unvested = 0;
    for (bool found = false; !found;) {
      for (uint32_t share = 0; share < shares; ++share)
        found = found || random() % 1'000'000 < job.audit.replay_ppm;
      if (found || ++unvested <= job.audit.vest_leases) continue;
      --unvested;
      ++paid;
    }
  }
  return static_cast<double>(paid) / kThieves;
}

TEST(TheftOdds, AreWhatAThiefLivesThrough) {
  for (const auto& [ppm, steps, share, shares] :
       {std::tuple{120'000U, 20U, 5U, 4U}, std::tuple{50'000U, 200U, 25U, 4U},
        std::tuple{120'000U, 3U, 3U, 1U}, std::tuple{200'000U, 7U, 1U, 4U}}) {
    const verifier::Job job = job_of(ppm, steps, share, 3);
    const TheftOdds odds = theft_odds(job);
    EXPECT_EQ(odds.shares, shares);
    const double out = lived(job, shares);
    EXPECT_NEAR(odds.leases_paid, out, 0.05 * out + 0.02) << ppm << " " << shares;
  }
}

TEST(TheftOdds, GrowWithoutEndWhereNothingIsReplayed) {
  const TheftOdds odds = theft_odds(job_of(0, 20, 5, 6));
  EXPECT_EQ(odds.found, 0);
  EXPECT_TRUE(std::isinf(odds.leases_paid));
  EXPECT_EQ(theft_odds(job_of(1'000'000, 20, 5, 6)).leases_paid, 0);
}

}  // namespace
}  // namespace gemmine::pool
