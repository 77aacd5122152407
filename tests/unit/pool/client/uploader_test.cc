#include "pool/client/uploader.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "tests/unit/pool/client/notebook.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

constexpr size_t kPartBytes = kPartGroups * kGroupBytes;

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

class Uploads : public testing::Test {
 protected:
  Uploads()
      : uploader_(sink_, {.on_sent = [this](const Digest&, uint64_t) { ++answered_; },
                          .on_refused = [this](const Digest&, uint64_t,
                                               const std::string&) { ++refused_; }}) {
    for (size_t i = 0; i < bytes_.size(); ++i)
      bytes_[i] = static_cast<uint8_t>(i * i >> 7);
    root_ = kernels::blake3(bytes_);
    GEMMINE_CHECK(write_durable(path_, bytes_).ok() && make_tree(path_, root_).ok());
  }
  void begin() { ASSERT_TRUE(uploader_.send(lease_, kDelta, path_, root_, now_)); }
  // What the uploader sends is had, after_ms later each time; returns the groups in order.
  std::vector<uint64_t> run(uint64_t after_ms) {
    std::vector<uint64_t> out;
    for (auto sent = sink_.take<Upload>(); !sent.empty(); sent = sink_.take<Upload>()) {
      now_ += after_ms;
      for (const Upload& delta : sent) {
        EXPECT_TRUE(check_part(delta.part, root_, bytes_.size()));
        out.push_back(delta.part.first_group);
        uploader_.on_have({lease_, kDelta, delta.part.first_group + delta.part.groups}, now_);
      }
    }
    return out;
  }

  TempDirectory folder_;
  const std::string path_ = folder_.path() + "/delta";
  Bytes bytes_ = Bytes(40 * kPartBytes + 99);
  Digest root_;
  const Digest lease_ = filled(1);
  Notebook sink_;
  uint64_t now_ = 1'000;
  int answered_ = 0;
  int refused_ = 0;
  Uploader uploader_;
};

TEST_F(Uploads, ArriveInOrderAndOnce) {
  begin();
  begin();  // on its way already
  const auto groups = run(10);
  ASSERT_EQ(groups.size(), 41U);
  for (size_t i = 0; i < groups.size(); ++i)
    EXPECT_EQ(groups[i], i * kPartGroups);
  EXPECT_EQ(uploader_.bytes_in_flight(), 0U);
  uploader_.keep_if([](const Digest&, uint64_t) { return false; });
  EXPECT_TRUE(uploader_.idle());
}

TEST_F(Uploads, OpenTheirWindowWhileAnswersAreQuick) {
  begin();
  EXPECT_EQ(sink_.sent.size(), 1U);
  run(10);
  EXPECT_EQ(uploader_.window_bytes(), kUploadWindowMax);
}

// At 2 MB/s with a big buffer below us: a share waits for little.
TEST_F(Uploads, KeepTheirWindowSmallWhenAnswersAreLate) {
  begin();
  run(kUploadLateMs + 1);
  EXPECT_EQ(uploader_.window_bytes(), kUploadWindowMin);
}

TEST_F(Uploads, NeverHaveMoreOnTheirWayThanTheWindow) {
  begin();
  size_t most = 0;
  uint64_t had = 0;
  std::vector<Upload> way = sink_.take<Upload>();
  while (!way.empty()) {  // one answer at a time
    size_t bytes = 0;
    for (const Upload& part : way)
      bytes += part.part.bytes.size();
    most = std::max(most, bytes);
    had += way.front().part.groups;
    way.erase(way.begin());
    uploader_.on_have({lease_, kDelta, had}, now_);
    for (Upload& part : sink_.take<Upload>())
      way.push_back(std::move(part));
  }
  EXPECT_LE(most, kUploadWindowMax);
  EXPECT_GT(most, kUploadWindowMin);
}

TEST_F(Uploads, WaitWhileOurOwnQueueIsLong) {
  sink_.queued = kUploadQueuedMax;
  begin();
  EXPECT_TRUE(sink_.sent.empty());
  sink_.queued = 0;
  uploader_.on_drained(now_);
  EXPECT_EQ(sink_.sent.size(), 1U);
}

TEST_F(Uploads, GoOnWhereThePoolSaysAfterAReconnect) {
  begin();
  sink_.take<Upload>();
  uploader_.on_have({lease_, kDelta, 4}, now_);
  sink_.is_ready = false;
  uploader_.on_down();
  EXPECT_EQ(uploader_.bytes_in_flight(), 0U);
  sink_.is_ready = true;
  sink_.take<Upload>();
  begin();  // the owner, when it is back
  uploader_.on_have({lease_, kDelta, 80}, now_);
  const auto sent = sink_.take<Upload>();
  ASSERT_FALSE(sent.empty());
  uint64_t last = 0;
  for (const Upload& part : sent)
    last = std::max(last, part.part.first_group);
  EXPECT_GE(last, 80U);
}

TEST_F(Uploads, BeginAgainWhenThePoolLostThem) {
  begin();
  run(10);
  uploader_.on_have({lease_, kDelta, 0}, now_);
  const auto sent = sink_.take<Upload>();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.front().part.first_group, 0U);
}

TEST_F(Uploads, WaitWhenThePoolIsBusyAndSendAgain) {
  begin();
  const auto first = sink_.take<Upload>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_FALSE(uploader_.on_error({77, WireError::busy, 500, ""}, now_)) << "another frame's";
  EXPECT_TRUE(uploader_.on_error({sink_.seq, WireError::busy, 500, ""}, now_));
  uploader_.on_tick(now_ + 499);
  EXPECT_TRUE(sink_.sent.empty());
  uploader_.on_tick(now_ + 500);
  const auto again = sink_.take<Upload>();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].part.first_group, 0U);
}

TEST_F(Uploads, SendAgainWhatNobodyAnswered) {
  begin();
  sink_.take<Upload>();
  uploader_.on_tick(now_ + kUploadStallMs - 1);
  EXPECT_TRUE(sink_.sent.empty());
  uploader_.on_tick(now_ + kUploadStallMs);
  EXPECT_EQ(sink_.take<Upload>().size(), 1U);
}

TEST_F(Uploads, EndWhenThePoolRefusesThem) {
  begin();
  EXPECT_TRUE(uploader_.on_error({sink_.seq, WireError::bad_delta, 0, ""}, now_));
  EXPECT_EQ(refused_, 1);
  EXPECT_TRUE(uploader_.idle());
}

TEST_F(Uploads, EndWhenTheWholeIsRefused) {
  begin();
  run(10);
  EXPECT_TRUE(uploader_.on_error({0, WireError::bad_delta, 0, ""}, now_));
  EXPECT_EQ(refused_, 1);
}

TEST_F(Uploads, WithoutAFileAreNotBegun) {
  EXPECT_FALSE(uploader_.send(lease_, kDelta, folder_.path() + "/none", root_, now_));
  EXPECT_TRUE(uploader_.idle());
}

TEST_F(Uploads, OfAnswersGoBeforeDeltas) {
  begin();
  sink_.take<Upload>();
  constexpr uint64_t kChallenge = 2;
  const Bytes answer(3 * kPartBytes, 5);
  const std::string path = folder_.path() + "/answer";
  const Digest root = kernels::blake3(answer);
  ASSERT_TRUE(write_durable(path, answer).ok() && make_tree(path, root).ok());
  ASSERT_TRUE(uploader_.send(lease_, kChallenge, path, root, now_));
  EXPECT_TRUE(sink_.sent.empty()) << "the window is full";
  uploader_.on_have({lease_, kDelta, kPartGroups}, now_);
  uint64_t had = 0;
  while (answered_ == 0) {
    const auto sent = sink_.take<Upload>();
    ASSERT_FALSE(sent.empty());
    EXPECT_EQ(sent.front().challenge, kChallenge) << "it goes first";
    for (const Upload& one : sent) {
      if (one.challenge != kChallenge) continue;
      EXPECT_TRUE(check_part(one.part, root, answer.size()));
      EXPECT_EQ(one.part.first_group, had);
      had = one.part.first_group + one.part.groups;
      uploader_.on_have({lease_, kChallenge, had}, now_);
    }
  }
  EXPECT_EQ(had, 3 * kPartGroups);
  EXPECT_FALSE(uploader_.idle()) << "the delta goes on";
}

}  // namespace
}  // namespace gemmine::pool
