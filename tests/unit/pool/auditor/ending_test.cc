#include "pool/auditor/ending.h"

#include <vector>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

constexpr uint64_t kNow = 1'000'000;

EndFacts done() {
  return {.jobs_finished = true,
          .replays = 0,
          .downloads = 0,
          .merges = 0,
          .verdicts_awaited = 0,
          .connected = true,
          .down_since_ms = 0,
          .last_change_ms = kNow};
}

TEST(AuditorsEnd, ComesWhenAllIsCheckedAndThePoolIsQuiet) {
  EXPECT_FALSE(may_end(done(), kNow));
  EXPECT_FALSE(may_end(done(), kNow + kQuietMs - 1));
  EXPECT_EQ(may_end(done(), kNow + kQuietMs), "every job is finished");
}

TEST(AuditorsEnd, NeverComesBeforeTheJobsAreFinished) {
  EndFacts facts = done();
  facts.jobs_finished = false;
  EXPECT_FALSE(may_end(facts, kNow + 10 * kEchoWaitMaxMs));
  facts.connected = false;
  EXPECT_FALSE(may_end(facts, kNow + 10 * kEchoWaitMaxMs));
}

TEST(AuditorsEnd, WaitsForReplaysAndMergesHoweverLong) {
  EndFacts facts = done();
  facts.replays = 1;
  EXPECT_FALSE(may_end(facts, kNow + 10 * kEchoWaitMaxMs));
  facts = done();
  facts.merges = 1;
  EXPECT_FALSE(may_end(facts, kNow + 10 * kEchoWaitMaxMs));
}

TEST(AuditorsEnd, WaitsForItsOwnVerdictsButNotForEver) {
  EndFacts facts = done();
  facts.verdicts_awaited = 2;
  EXPECT_FALSE(may_end(facts, kNow + kQuietMs));
  EXPECT_FALSE(may_end(facts, kNow + kEchoWaitMaxMs - 1));
  EXPECT_EQ(may_end(facts, kNow + kEchoWaitMaxMs),
            "every job is finished; the pool has not logged 2 of our verdicts");
}

TEST(AuditorsEnd, ComesAtOnceWhenThePoolHasLeftAndNothingIsOwed) {
  EndFacts facts = done();
  facts.connected = false;
  facts.down_since_ms = kNow;
  facts.verdicts_awaited = 1;
  EXPECT_EQ(may_end(facts, kNow), "every job is finished, and the pool has left");
}

TEST(AuditorsEnd, WorksOffWhatIsHereAndGivesUpWhatOnlyThePoolHas) {
  EndFacts facts = done();
  facts.connected = false;
  facts.down_since_ms = kNow;
  facts.replays = 3;  // their data are here
  EXPECT_FALSE(may_end(facts, kNow + 10 * kGoneWaitMaxMs));
  facts.downloads = 1;
  EXPECT_FALSE(may_end(facts, kNow + kGoneWaitMaxMs - 1));
  EXPECT_EQ(may_end(facts, kNow + kGoneWaitMaxMs), "the pool has left before all could be fetched");
}

TEST(AuditorsEnd, WaitsForAPoolThatSendsNothingNoLongerThanItsPatience) {
  EndFacts facts = done();
  facts.jobs_finished = false;
  facts.patience_ms = 5'000;
  facts.downloads = 1;
  facts.replays = 1;
  const uint64_t quiet_since = facts.last_change_ms;
  EXPECT_FALSE(may_end(facts, quiet_since + 4'999));
  EXPECT_EQ(may_end(facts, quiet_since + 5'000), "the pool sends nothing of what it owes");
  facts.replaying = 1;  // a long replay of ours is no fault of the pool's
  EXPECT_FALSE(may_end(facts, quiet_since + 50'000));
  facts.replaying = 0;
  facts.downloads = 0;
  EXPECT_FALSE(may_end(facts, quiet_since + 50'000));
}

TEST(AuditorsEnd, DoesNotComeToOneWhoStays) {
  EndFacts facts = done();
  facts.stay = true;
  EXPECT_FALSE(may_end(facts, facts.last_change_ms + 100'000));
}

OwnVerdicts::Key key(uint8_t lease, uint32_t index) {
  Digest id;
  id.bytes[0] = lease;
  return {id, index};
}

TEST(OwnVerdicts, WaitUntilTheyAreLogged) {
  OwnVerdicts own;
  own.sent(key(1, 0), Bytes{1}, 7);
  own.sent(key(1, 1), Bytes{2}, 8);
  EXPECT_EQ(own.awaited(), 2U);
  own.logged(key(1, 0));
  own.logged(key(7, 7));  // somebody else's, or sent by an earlier run of ours
  EXPECT_EQ(own.awaited(), 1U);
  EXPECT_EQ(own.unlogged(), 1U);
}

TEST(OwnVerdicts, AreNotAwaitedOnceThePoolHasRefusedThem) {
  OwnVerdicts own;
  own.sent(key(1, 0), Bytes{1}, 7);
  own.sent(key(1, 1), Bytes{2}, 8);
  own.refused(99);  // a download
  own.refused(0);   // names nothing
  EXPECT_EQ(own.awaited(), 2U);
  own.refused(8);
  EXPECT_EQ(own.awaited(), 1U);
  EXPECT_EQ(own.unlogged(), 2U);
}

TEST(OwnVerdicts, AreSentAgainOnANewConnection) {
  OwnVerdicts own;
  own.sent(key(1, 0), Bytes{1}, 7);
  own.sent(key(1, 1), Bytes{2}, 0);  // there was no connection
  own.refused(7);
  uint32_t frame = 1;
  std::vector<Bytes> again;
  own.send_again([&](const Bytes& verdict) {
    again.push_back(verdict);
    return frame++;
  });
  EXPECT_EQ(again, (std::vector<Bytes>{{1}, {2}}));
  EXPECT_EQ(own.awaited(), 2U);
  own.refused(7);  // of the old connection
  EXPECT_EQ(own.awaited(), 2U);
  own.refused(2);
  EXPECT_EQ(own.awaited(), 1U);
}

TEST(OwnVerdicts, AreBounded) {
  OwnVerdicts own;
  for (uint32_t i = 0; i < kOwnVerdictsMax + 10; ++i)
    own.sent(key(1, i), Bytes{1}, 0);
  EXPECT_EQ(own.unlogged(), kOwnVerdictsMax);
}

}  // namespace
}  // namespace gemmine::pool
