#include "miner/pause.h"

#include <gtest/gtest.h>

namespace gemmine::miner {
namespace {

TEST(Pause, GrowsUntilASuccess) {
  Pause pause;
  EXPECT_TRUE(pause.over(0));
  uint64_t now = 0;
  for (uint64_t length = Pause::kFirstMs; length < Pause::kCeilingMs; length *= 2) {
    pause.trouble(now);
    EXPECT_FALSE(pause.over(now + length - 1));
    now += length;
    EXPECT_TRUE(pause.over(now));
  }
  for (int i = 0; i < 100; ++i)
    pause.trouble(now);
  EXPECT_FALSE(pause.over(now + Pause::kCeilingMs - 1));
  EXPECT_TRUE(pause.over(now + Pause::kCeilingMs));
  pause.heal();
  EXPECT_TRUE(pause.over(now));
  EXPECT_EQ(pause.failures(), 0U);
  pause.trouble(now);
  EXPECT_TRUE(pause.over(now + Pause::kFirstMs));
}

}  // namespace
}  // namespace gemmine::miner
