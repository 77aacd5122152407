#include "pool/core/pause.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

TEST(Pause, DoublesUpToItsCeiling) {
  Pause pause;
  EXPECT_EQ(pause.left_ms(0), 0U);
  uint64_t now = 1'000;
  for (const uint64_t expected : {1'000, 2'000, 4'000, 8'000}) {
    pause.failed(now);
    EXPECT_EQ(pause.left_ms(now), expected);
    EXPECT_EQ(pause.left_ms(now + expected), 0U);
    now += expected;
  }
  for (int i = 0; i < 100; ++i) {
    pause.failed(now);
    now += pause.left_ms(now);
  }
  pause.failed(now);
  EXPECT_EQ(pause.left_ms(now), Pause::kCeilingMs);
}

TEST(Pause, OfFailuresAtOnceIsTheLongest) {
  Pause pause;
  for (int i = 0; i < 3; ++i)
    pause.failed(5);
  EXPECT_EQ(pause.left_ms(5), 4'000U);
}

TEST(Pause, IsForgottenAfterAWhile) {
  Pause pause;
  for (int i = 0; i < 5; ++i)
    pause.failed(0);
  pause.failed(16'000 + Pause::kForgetMs);
  EXPECT_EQ(pause.left_ms(16'000 + Pause::kForgetMs), Pause::kFirstMs);
}

}  // namespace
}  // namespace gemmine::pool
