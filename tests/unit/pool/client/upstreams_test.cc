// Which pool is tried next, and when. Bug reports F16 and R16.
#include "pool/client/upstreams.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

constexpr uint64_t kLongest = ~uint64_t{0};  // the random number of the longest wait

struct Both {
  size_t index;
  uint64_t wait_ms;
  bool operator==(const Both&) const = default;
};
Both next(const Upstreams& pools, uint64_t now_ms) {
  const auto at = pools.next(now_ms);
  return at ? Both{at->index, at->wait_ms} : Both{99, 0};
}

TEST(Upstreams, GoesToTheNextOneAtOnceAndComesBackToTheFirst) {
  Upstreams pools(2);
  EXPECT_EQ(next(pools, 0), (Both{0, 0}));
  pools.lost(0, 100'000, 0, 200'000, kLongest);
  EXPECT_EQ(next(pools, 200'000), (Both{1, 0}));
  pools.lost(1, 100'000, 0, 300'000, kLongest);
  EXPECT_EQ(next(pools, 300'000), (Both{0, 0}));
}

TEST(Upstreams, EachWaitsForItselfLongerEachTimeUntilOneLasts) {
  Upstreams pools(1);
  uint64_t now = 0;
  for (const uint64_t wait : {1'000, 2'000, 4'000, 8'000}) {
    pools.lost(0, 0, 0, now, kLongest);
    EXPECT_EQ(next(pools, now), (Both{0, wait}));
    now += wait;
  }
  pools.lost(0, Backoff::kHealthyMs, 0, now, kLongest);
  EXPECT_EQ(next(pools, now), (Both{0, 1'000}));
  pools.lost(0, 0, 30'000, now, 0);
  EXPECT_EQ(next(pools, now), (Both{0, 30'000})) << "the pool's wish";
  pools.lost(0, 0, 1'000'000, now, 0);
  EXPECT_EQ(next(pools, now), (Both{0, Backoff::kCeilingMs})) << "within bounds";
}

TEST(Upstreams, AFailingOneDoesNotSlowTheOther) {
  Upstreams pools(2);
  for (int i = 0; i < 10; ++i)
    pools.lost(0, 0, 0, 0, kLongest);
  pools.lost(1, 0, 0, 0, kLongest);
  EXPECT_EQ(next(pools, 0), (Both{1, 1'000}));
}

TEST(Upstreams, OneThatIsNotWhoItShouldBeIsToldOnceAndLeftAlone) {
  Upstreams pools(2);
  EXPECT_TRUE(pools.refused(0, 0));
  EXPECT_EQ(next(pools, 0), (Both{1, 0}));
  pools.lost(1, 0, 0, 0, kLongest);
  EXPECT_EQ(next(pools, 0), (Both{1, 1'000}));
  EXPECT_FALSE(pools.refused(0, Upstreams::kRefusedMs));
  EXPECT_FALSE(pools.refused(0, 0));
  Upstreams alone(1);
  for (int i = 0; i < 9; ++i)
    alone.refused(0, 0);
  EXPECT_EQ(next(alone, 0), (Both{0, Upstreams::kRefusedCeilingMs}));
  alone.lost(0, 0, 0, 0, 0);
  EXPECT_TRUE(alone.refused(0, 0)) << "it had been the right one meanwhile";
}

TEST(Upstreams, GivenUpOnesAreNeverTriedAgain) {
  Upstreams pools(2);
  pools.give_up(0);
  EXPECT_EQ(next(pools, 0), (Both{1, 0}));
  pools.give_up(1);
  EXPECT_FALSE(pools.next(0));
}

TEST(Upstreams, EveryPoolHasAKeyOfItsOwn) {
  Upstreams pools(2);
  Digest a;
  Digest b;
  b.bytes[0] = 1;
  EXPECT_TRUE(pools.knows_key(0, a));
  EXPECT_TRUE(pools.knows_key(1, b));
  EXPECT_TRUE(pools.knows_key(0, a));
  EXPECT_FALSE(pools.knows_key(0, b));
  EXPECT_FALSE(pools.knows_key(1, a));
}

TEST(UpstreamsDeathTest, NamesOneOfItsPools) {
  EXPECT_DEATH(Upstreams(0), "count");
  Upstreams pools(1);
  EXPECT_DEATH(pools.give_up(1), "index");
}

}  // namespace
}  // namespace gemmine::pool
