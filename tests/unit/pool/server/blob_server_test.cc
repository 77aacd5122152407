#include "pool/server/blob_server.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

constexpr ConnId kFirst{1};
constexpr ConnId kSecond{2};

class BlobTurns : public testing::Test {
 protected:
  BlobTurns()
      : server_({.queued_bytes = [this](ConnId id) { return queued_[id]; },
                 .received_bytes = [this](ConnId id) { return sent_[id] - queued_[id]; },
                 .address = [this](ConnId id) { return address_[id]; },
                 .read =
                     [this](ConnId id, uint32_t seq, const GetBlob& get) {
                       reads_.push_back({id, seq, get});
                     },
                 .send =
                     [this](ConnId id, const BlobPart& part) {
                       queued_[id] += part.part.bytes.size();
                       sent_[id] += part.part.bytes.size();
                       order_.push_back(id);
                     },
                 .refuse = [this](ConnId, const ErrorMessage& error) { refused_.push_back(error); },
                 .hang_up = [this](ConnId id, const std::string&) { hung_up_.push_back(id); }}) {}
  void ask(ConnId id, uint32_t times = 1) {
    for (uint32_t i = 0; i < times; ++i)
      server_.ask(id, ++seq_, GetBlob{}, now_);
  }
  void finish_read(Result<Part> part = Part{.siblings = {}, .bytes = Bytes(100'000)}) {
    const auto read = reads_.front();
    reads_.pop_front();
    server_.on_read(read.id, read.seq, read.get, std::move(part), now_);
  }
  // Peers of one address that ask and read nothing, until that gets them no more.
  void hog(const std::string& address, uint64_t first, uint64_t count) {
    for (uint64_t id = first; id < first + count; ++id) {
      address_[ConnId{id}] = address;
      ask(ConnId{id}, 16);
      while (!reads_.empty())
        finish_read();
    }
  }
  void drain(ConnId id) {
    queued_[id] = 0;
    server_.on_drained(id);
  }

  struct Read {
    ConnId id;
    uint32_t seq;
    GetBlob get;
  };
  std::map<ConnId, size_t> queued_;
  std::map<ConnId, uint64_t> sent_;
  std::map<ConnId, std::string> address_;
  std::deque<Read> reads_;
  std::vector<ConnId> order_;
  std::vector<ErrorMessage> refused_;
  std::vector<ConnId> hung_up_;
  uint32_t seq_ = 0;
  uint64_t now_ = 0;
  BlobServer server_;
};

TEST_F(BlobTurns, GoRoundOnePartAPeer) {
  ask(kFirst, 3);
  ask(kSecond, 3);
  EXPECT_EQ(reads_.size(), 2U) << "one read a peer";
  while (!reads_.empty())
    finish_read();
  EXPECT_EQ(order_, (std::vector{kFirst, kSecond, kFirst, kSecond, kFirst, kSecond}));
}

TEST_F(BlobTurns, RefuseMoreThanAPeerMayAskFor) {
  ask(kFirst, kBlobWaitsMax + 1);  // one of them is being read
  EXPECT_TRUE(refused_.empty());
  ask(kFirst);
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_EQ(refused_[0].code, WireError::too_many);
  EXPECT_EQ(refused_[0].seq, seq_);
}

TEST_F(BlobTurns, SayWhichRequestHasNoBlob) {
  ask(kFirst);
  finish_read(Error{Errc::io, "none"});
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_EQ(refused_[0].code, WireError::unknown_blob);
  EXPECT_EQ(refused_[0].seq, 1U);
}

TEST_F(BlobTurns, StopForWhoReadsSlowlyAndGoOnWhenItHasRead) {
  ask(kFirst, 16);
  while (!reads_.empty())
    finish_read();
  EXPECT_LE(queued_[kFirst], kBlobAheadMax + 100'000);
  EXPECT_LT(order_.size(), 16U);
  ask(kSecond);
  EXPECT_EQ(reads_.size(), 1U) << "the others go on";
  finish_read();
  drain(kFirst);
  EXPECT_EQ(reads_.size(), 1U);
}

TEST_F(BlobTurns, ReadAFewAtATime) {
  for (uint64_t id = 1; id <= 2 * kBlobReadsMax; ++id)
    ask(ConnId{id});
  EXPECT_EQ(server_.reads(), kBlobReadsMax);
  finish_read();
  EXPECT_EQ(server_.reads(), kBlobReadsMax);
}

TEST_F(BlobTurns, LeaveHalfOfTheMemoryToOtherAddresses) {
  hog("a", 100, 200);
  EXPECT_LE(server_.unread_bytes(), kBlobAheadInAllMax / 2 + 200 * 100'000);
  address_[kFirst] = "b";
  ask(kFirst, 16);
  while (!reads_.empty())
    finish_read();
  EXPECT_GT(queued_[kFirst], kBlobAheadMax - 100'000) << "read ahead as if nobody else were there";
}

// However many read nothing, at its own address or at all others, who reads goes on.
TEST_F(BlobTurns, AlwaysGiveTheNextPartToWhoHasReadAll) {
  for (uint64_t i = 0; i < 200; ++i)
    hog(std::to_string(i), 1'000 * (i + 1), 20);
  EXPECT_GE(server_.unread_bytes(), kBlobAheadInAllMax);
  EXPECT_LE(server_.unread_bytes(), kBlobAheadInAllMax + 200 * 20 * 100'000);
  address_[kFirst] = "0";
  ask(kFirst, 3);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(reads_.size(), 1U) << i;
    finish_read();
    EXPECT_TRUE(reads_.empty());
    drain(kFirst);
  }
  EXPECT_EQ(std::ranges::count(order_, kFirst), 3);
  server_.ask(kFirst, ++seq_, GetBlob{.address = {}, .first_group = 0, .groups = 16}, now_);
  EXPECT_TRUE(reads_.empty()) << "of a part that is longer than ours nothing is promised";
}

TEST_F(BlobTurns, HangUpOnWhoReadsNothingWhenOthersWait) {
  hog("a", 100, 200);
  now_ = kBlobUnreadMs - 1;
  server_.on_tick(now_);
  EXPECT_TRUE(hung_up_.empty());
  now_ = kBlobUnreadMs;
  server_.on_tick(now_);
  EXPECT_EQ(hung_up_.size(), 200U);
  for (const ConnId gone : hung_up_)
    server_.forget(gone);
  EXPECT_EQ(server_.unread_bytes(), 0U);
}

TEST_F(BlobTurns, HangUpOnNobodyWhileThereIsRoom) {
  ask(kFirst, 16);
  while (!reads_.empty())
    finish_read();
  server_.on_tick(10 * kBlobUnreadMs);
  EXPECT_TRUE(hung_up_.empty());
}

TEST_F(BlobTurns, KeepASlowLineThatReadsSteadilyAndNeverHasAll) {
  hog("a", 100, 200);
  address_[kFirst] = "b";
  ask(kFirst, 16);
  while (!reads_.empty())
    finish_read();
  for (; now_ <= 4 * kBlobUnreadMs; now_ += 1'000) {
    queued_[kFirst] -= 2'000;
    server_.on_tick(now_);
    while (!reads_.empty())
      finish_read();
    if (queued_[kFirst] < kBlobAheadMax / 2) ask(kFirst, 8);
  }
  EXPECT_GE(std::ranges::count(hung_up_, ConnId{100}), 1);
  EXPECT_EQ(std::ranges::count(hung_up_, kFirst), 0);
}

TEST_F(BlobTurns, ForgetWhoIsGone) {
  ask(kFirst, 2);
  server_.forget(kFirst);
  finish_read();
  EXPECT_TRUE(order_.empty());
  EXPECT_EQ(server_.reads(), 0U);
}

}  // namespace
}  // namespace gemmine::pool
