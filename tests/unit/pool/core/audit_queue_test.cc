#include "pool/core/audit_queue.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

Digest lease(uint32_t number) {
  Digest out;
  out.bytes[0] = static_cast<uint8_t>(number);
  out.bytes[1] = static_cast<uint8_t>(number >> 8);
  return out;
}

TEST(AuditQueue, RunsNoMoreThanItMay) {
  AuditQueue queue(2);
  for (uint32_t i = 0; i < 3; ++i)
    queue.add(lease(i), Turn::proven, 10);
  queue.add(lease(0), Turn::proven, 10);  // waits already
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(queue.take(), lease(0));
  EXPECT_EQ(queue.take(), lease(1));
  EXPECT_EQ(queue.take(), std::nullopt);
  EXPECT_TRUE(queue.running(lease(1)));
  EXPECT_FALSE(queue.running(lease(2)));
  queue.erase(lease(1));
  EXPECT_EQ(queue.take(), lease(2));
}

// economics.md §7: proven keys have three quarters of the time at least, whatever a thousand new
// ones want.
TEST(AuditQueue, LeavesProvenKeysThreeQuartersOfTheTime) {
  AuditQueue queue(1);
  for (uint32_t i = 0; i < 1'000; ++i)
    queue.add(lease(i), Turn::fresh, 10);
  for (uint32_t i = 1'000; i < 1'300; ++i)
    queue.add(lease(i), Turn::proven, 10);
  uint32_t proven = 0;
  for (int i = 0; i < 200; ++i) {
    const auto next = queue.take();
    ASSERT_TRUE(next);
    proven += next->bytes[0] + 256 * next->bytes[1] >= 1'000 ? 1 : 0;
    queue.erase(*next);
  }
  EXPECT_NEAR(proven, 160, 1);  // four parts in five while no stranger doubts
}

TEST(AuditQueue, SavesNothingUpForWhoDidNotWait) {
  AuditQueue queue(1);
  for (uint32_t i = 0; i < 100; ++i) {  // new keys alone have all of it
    queue.add(lease(i), Turn::fresh, 10);
    queue.erase(*queue.take());
  }
  for (uint32_t i = 100; i < 300; ++i)
    queue.add(lease(i), i % 2 == 0 ? Turn::proven : Turn::fresh, 10);
  uint32_t proven = 0;
  for (int i = 0; i < 40; ++i) {
    const auto next = queue.take();
    proven += next->bytes[0] % 2 == 0 ? 1 : 0;
    queue.erase(*next);
  }
  EXPECT_NEAR(proven, 32, 2);
}

// What strangers doubt is nobody's hurry: a thousand of them keep a new honest key's first lease
// from its slot for one run at most, and take no room from those who mine.
TEST(AuditQueue, PutsStrangersDoubtsBehindEveryoneWhoMines) {
  AuditQueue queue(1);
  for (uint32_t i = 0; i < 2 * kAuditsPendingMax; ++i)
    queue.add(lease(i), Turn::doubt, 10);
  EXPECT_FALSE(queue.full());
  EXPECT_EQ(queue.take(), lease(0));
  queue.add(lease(60'000), Turn::fresh, 10, true);
  EXPECT_EQ(queue.take(), std::nullopt);  // the one that runs is not cut short
  queue.erase(lease(0));
  EXPECT_EQ(queue.take(), lease(60'000));
  queue.erase(lease(60'000));
  uint32_t doubts = 0;
  for (uint32_t i = 50'000; i < 50'100; ++i)
    queue.add(lease(i), i % 2 == 0 ? Turn::proven : Turn::fresh, 10);
  for (int i = 0; i < 64; ++i) {
    const auto next = queue.take();
    doubts += next->bytes[0] + 256 * next->bytes[1] < 50'000 ? 1 : 0;
    queue.erase(*next);
  }
  EXPECT_NEAR(doubts, 4, 1);  // one in sixteen
}

TEST(AuditQueue, TakesThoseFirstThatHoldTheirSlot) {
  AuditQueue queue(1);
  queue.add(lease(1), Turn::proven, 10);
  queue.add(lease(2), Turn::proven, 10);
  queue.add(lease(3), Turn::proven, 10, true);
  queue.add(lease(4), Turn::doubt, 10);
  queue.add(lease(4), Turn::proven, 10, true);  // its batch was drawn meanwhile
  for (const uint32_t next : {3U, 4U, 1U, 2U}) {
    EXPECT_EQ(queue.take(), lease(next));
    queue.erase(lease(next));
  }
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_FALSE(queue.full());
}

TEST(AuditQueue, ComesBackToWhatCouldNotBeDecided) {
  AuditQueue queue(1);
  queue.add(lease(1), Turn::fresh, 10);
  EXPECT_EQ(queue.take(), lease(1));
  queue.put_off(lease(1), 500);
  EXPECT_EQ(queue.take(), std::nullopt);
  queue.wake(499);
  EXPECT_EQ(queue.take(), std::nullopt);
  queue.wake(500);
  EXPECT_EQ(queue.take(), lease(1));
}

// A doubt that could not be decided is wanted by its miner's batch meanwhile.
TEST(AuditQueue, GivesWhatWasPutOffItsBetterTurn) {
  AuditQueue queue(1);
  queue.add(lease(1), Turn::doubt, 10);
  EXPECT_EQ(queue.take(), lease(1));
  queue.put_off(lease(1), 500);
  queue.add(lease(1), Turn::proven, 10, true);
  queue.add(lease(2), Turn::proven, 10);
  queue.wake(500);
  EXPECT_EQ(queue.take(), lease(1));
  queue.erase(lease(1));
  for (uint32_t i = 10; i < 10 + kAuditsPendingMax - 1; ++i)
    queue.add(lease(i), Turn::fresh, 1);
  EXPECT_TRUE(queue.full());  // a doubt that is none any more counts, and nothing twice
}

TEST(AuditQueue, IsFullAtItsBound) {
  AuditQueue queue(1);
  for (uint32_t i = 0; i < kAuditsPendingMax; ++i)
    queue.add(lease(i), Turn::fresh, 1);
  EXPECT_TRUE(queue.full());
  queue.erase(lease(7));
  EXPECT_FALSE(queue.full());
}

}  // namespace
}  // namespace gemmine::pool
