#include "pool/net/backoff.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

TEST(Backoff, DoublesItsCeilingFromOneSecondToSixty) {
  Backoff backoff;
  for (const uint64_t ceiling : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    EXPECT_EQ(backoff.ceiling_ms(), ceiling);
    EXPECT_EQ(backoff.next_ms(UINT64_MAX), ceiling);
  }
  EXPECT_EQ(backoff.next_ms(0), 0u);
}

TEST(Backoff, SpreadsOverTheWholeCeiling) {
  for (uint64_t quarter = 0; quarter < 4; ++quarter) {
    Backoff backoff;
    EXPECT_EQ(backoff.next_ms(quarter << 62), quarter * 1'001 / 4);
  }
}

TEST(Backoff, StartsOverOnlyAfterAHealthyConnection) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i)
    backoff.next_ms(0);
  backoff.on_connection_ended(Backoff::kHealthyMs - 1);
  EXPECT_EQ(backoff.ceiling_ms(), 32'000u);
  backoff.on_connection_ended(Backoff::kHealthyMs);
  EXPECT_EQ(backoff.ceiling_ms(), 1'000u);
}

}  // namespace
}  // namespace gemmine::pool
