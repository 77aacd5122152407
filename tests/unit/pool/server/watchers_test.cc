// Followers of the ledger: everyone gets every record once and in order, a piece each turn.
#include "pool/server/watchers.h"

#include <gtest/gtest.h>

#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

std::vector<verifier::SignedRecord> records(uint64_t first, size_t count, size_t body_bytes = 10) {
  std::vector<verifier::SignedRecord> out;
  for (uint64_t seq = first; seq < first + count; ++seq)
    out.push_back({{seq, 1000 + seq, verifier::RecordKind::member, Bytes(body_bytes, 7)}, {}, {}});
  return out;
}

class Following : public testing::Test {
 protected:
  Watchers make(uint64_t durable) {
    stored_ = durable;
    return Watchers({.queued_bytes = [this](ConnId id) { return queued_[id]; },
                     .send =
                         [this](ConnId id, std::span<const Bytes> payloads) {
                           sizes_.push_back(payloads.size());
                           for (const Bytes& payload : payloads)
                             got_[id].push_back(decode<RecordMessage>(payload).value().receipt.seq);
                         },
                     .read =
                         [this](ConnId id, uint64_t first) {
                           reads_.push_back({id, first});
                         }},
                    durable);
  }
  // The store answers everything it was asked.
  void answer(Watchers& watchers) {
    for (const auto& [id, first] : std::exchange(reads_, {}))
      watchers.on_read(id, first,
                       records(first, std::min<size_t>(kWatchRecordsMax, stored_ - first)));
  }
  int turns_until_idle(Watchers& watchers) {
    constexpr int kTurnsMax = 10'000;
    for (int turns = 1; turns < kTurnsMax; ++turns) {
      const bool more = watchers.turn();
      if (!more && reads_.empty()) return turns;
      answer(watchers);
    }
    return -1;
  }
  bool has_all(ConnId id, uint64_t first, uint64_t end) {
    const std::vector<uint64_t>& got = got_[id];
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] != first + i) return false;
    }
    return got.size() == end - first;
  }

  uint64_t stored_ = 0;
  std::map<ConnId, size_t> queued_;
  std::map<ConnId, std::vector<uint64_t>> got_;
  std::vector<size_t> sizes_;
  std::vector<std::pair<ConnId, uint64_t>> reads_;
};

// A pool that was restarted, and has nothing new to say (users.md A5).
TEST_F(Following, GivesWhatTheStoreHasBeforeAnythingIsAppended) {
  Watchers watchers = make(3);
  watchers.watch(ConnId{1}, 0);
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 0, 3));
  EXPECT_TRUE(watchers.caught_up());
  watchers.on_durable(records(3, 1));
  EXPECT_FALSE(watchers.caught_up());
  watchers.forget(ConnId{1});
  EXPECT_TRUE(watchers.caught_up());
}

TEST_F(Following, GivesNothingThatIsNotDurable) {
  Watchers watchers = make(3);
  watchers.watch(ConnId{1}, 3);
  EXPECT_FALSE(watchers.turn());
  EXPECT_TRUE(reads_.empty());
  watchers.on_durable(records(3, 2));
  EXPECT_FALSE(watchers.turn());
  EXPECT_TRUE(has_all(ConnId{1}, 3, 5)) << "from memory";
  EXPECT_TRUE(reads_.empty());
}

TEST_F(Following, SendsABoundedPieceInATurn) {
  Watchers watchers = make(10 * kWatchRecordsMax);
  watchers.watch(ConnId{1}, 0);
  watchers.turn();
  answer(watchers);
  EXPECT_EQ(got_[ConnId{1}].size(), kWatchRecordsMax);
  watchers.on_durable(records(stored_, 2 * kWatchRecordsMax));
  stored_ += 2 * kWatchRecordsMax;
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 0, stored_));
  for (const size_t size : sizes_)
    EXPECT_LE(size, kWatchRecordsMax);
}

// load_review.md F3: 64 fresh auditors froze the loop.
TEST_F(Following, ServesManyFollowersInTurn) {
  constexpr uint64_t kFollowers = 64;
  Watchers watchers = make(5'000);
  for (uint64_t i = 0; i < kFollowers; ++i)
    watchers.watch(ConnId{i}, 0);
  size_t most = 0;
  for (int i = 0; i < 16; ++i) {
    watchers.turn();
    most = std::max(most, reads_.size());
    answer(watchers);
  }
  EXPECT_LE(most, kWatchReadsMax);
  for (uint64_t i = 0; i < kFollowers; ++i)
    EXPECT_EQ(got_[ConnId{i}].size(), 2 * kWatchRecordsMax) << i;
  EXPECT_GT(turns_until_idle(watchers), 0);
  for (uint64_t i = 0; i < kFollowers; ++i)
    EXPECT_TRUE(has_all(ConnId{i}, 0, 5'000)) << i;
}

TEST_F(Following, WaitsForASlowReader) {
  Watchers watchers = make(1000);
  watchers.watch(ConnId{1}, 0);
  queued_[ConnId{1}] = kWatchAheadMax;
  EXPECT_FALSE(watchers.turn());
  EXPECT_TRUE(reads_.empty());
  queued_[ConnId{1}] = 0;
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 0, 1000));
}

TEST_F(Following, StartsAgainWhereItIsToldAndForgetsWhoLeft) {
  Watchers watchers = make(500);
  watchers.watch(ConnId{1}, 0);
  watchers.watch(ConnId{2}, 0);
  watchers.turn();
  watchers.watch(ConnId{1}, 490);  // while its read is under way
  watchers.forget(ConnId{2});
  answer(watchers);
  EXPECT_TRUE(got_.empty());
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 490, 500));
}

TEST_F(Following, ReadsAgainAfterTheStoreFailed) {
  Watchers watchers = make(10);
  watchers.watch(ConnId{1}, 0);
  watchers.turn();
  watchers.on_read(ConnId{1}, 0, {});
  reads_.clear();
  EXPECT_FALSE(watchers.turn());
  EXPECT_TRUE(reads_.empty()) << "not before retry()";
  watchers.retry();
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 0, 10));
}

TEST_F(Following, KeepsABoundedTail) {
  Watchers watchers = make(0);
  for (uint64_t i = 0; i < 30; ++i)
    watchers.on_durable(records(i, 1, verifier::kRecordBytesMax));
  stored_ = 30;
  watchers.watch(ConnId{1}, 0);
  watchers.turn();
  ASSERT_EQ(reads_.size(), 1u) << "the first ones are not in memory any more";
  EXPECT_GT(turns_until_idle(watchers), 0);
  EXPECT_TRUE(has_all(ConnId{1}, 0, 30));
}

}  // namespace
}  // namespace gemmine::pool
