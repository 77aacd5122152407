#include "pool/core/pause.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

constexpr uint64_t kFirst = 1'000;

TEST(Pause, DoublesUpToItsCeiling) {
  Pause pause;
  EXPECT_EQ(pause.left_ms(0), 0U);
  uint64_t now = 1'000;
  for (const uint64_t expected : {1'000, 2'000, 4'000, 8'000}) {
    pause.failed(now, kFirst);
    EXPECT_EQ(pause.left_ms(now), expected);
    EXPECT_EQ(pause.left_ms(now + expected), 0U);
    now += expected;
  }
  for (int i = 0; i < 100; ++i) {
    pause.failed(now, kFirst);
    now += pause.left_ms(now);
  }
  pause.failed(now, kFirst);
  EXPECT_EQ(pause.left_ms(now), kFirst << Pause::kDoublings);
}

TEST(Pause, IsForgottenAfterAWhile) {
  Pause pause;
  for (int i = 0; i < 5; ++i)
    pause.failed(0, kFirst);
  const uint64_t later = 16'000 + Pause::kForgetMs + 4 * 16'000;
  EXPECT_FALSE(pause.over(later - 1));
  pause.failed(later, kFirst);
  EXPECT_EQ(pause.left_ms(later), kFirst);
}

// pause.h: an honest machine whose key was proven and that crashes ten times in a row.
TEST(Pause, OfAProvenKeyThatCrashesTenTimesIsSane) {
  constexpr uint64_t kLeaseMs = 1'200'000;
  constexpr uint64_t kMost = Pause::kProvenLeases * kLeaseMs;
  Pause working;
  Pause dead;
  uint64_t now = 0;
  uint64_t later = 0;
  for (int crash = 0; crash < 10; ++crash) {
    now += kLeaseMs / 2;
    working.failed(now, kFirst, kMost);
    EXPECT_EQ(working.left_ms(now), kFirst << crash);
    now += working.left_ms(now);
    later += kLeaseMs;
    dead.failed(later, kLeaseMs, kMost);
    EXPECT_EQ(dead.left_ms(later), std::min(kLeaseMs << crash, kMost));
    later += dead.left_ms(later);
    EXPECT_TRUE(dead.failing(later));
  }
  EXPECT_EQ(kMost, 9'600'000U);  // the same day
  EXPECT_FALSE(Pause().failing(0));
}

// economics.md §7: who takes leases only to let them run out holds a few of a day's 72 lease times.
TEST(Pause, LeavesAHoarderFewLeasesADay) {
  constexpr uint64_t kLeaseMs = 1'200'000;
  constexpr uint64_t kDayMs = 86'400'000;
  Pause pause;
  int held = 0;
  for (uint64_t now = 0; now < kDayMs; now += pause.left_ms(now)) {
    now += kLeaseMs;
    ++held;
    pause.failed(now, kLeaseMs);
  }
  EXPECT_LE(held, 7);
}

}  // namespace
}  // namespace gemmine::pool
