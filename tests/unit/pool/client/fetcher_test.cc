// Blobs from a pool that may send anything: what is not the blob that was asked for is told
// precisely, and never kept.
#include "pool/client/fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/blobs/part_reader.h"
#include "tests/support/loop.h"
#include "tests/unit/pool/client/notebook.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::HasSubstr;

class BlobFetcher : public testing::Test {
 protected:
  BlobFetcher() { begin(); }
  // A new process over the same folder.
  void begin() {
    fetcher_.reset();
    fetcher_.emplace(loop_, sink_, folder_.path(),
                     [this](const Digest&, Fetcher::Progress at) { progress_ = at.done; });
  }
  void fetch(const Digest& address, uint64_t bytes) {
    answer_.reset();
    fetcher_->fetch(address, bytes, [this](Result<Bytes> done) { answer_ = std::move(done); });
  }
  // Lets the loop run until it holds.
  void until(const std::function<bool()>& holds) {
    Timer timer(loop_, [&] {
      if (holds()) loop_.stop();
    });
    timer.start(0, 1);
    loop_.run();
  }
  void until_answered() {
    until([this] { return answer_.has_value(); });
  }
  void until_asked() {
    until([this] { return !sink_.sent.empty(); });
  }
  // A blob of one part, as the pool sends it.
  static BlobPart part(const Bytes& blob) {
    return {kernels::blake3(blob), {blob.size(), 0, 1, {}, blob}};
  }
  std::string path(const Digest& address) const {
    return folder_.path() + "/" + to_hex(address.bytes);
  }

  TempDirectory folder_;
  Loop loop_ = test::make_loop();
  Notebook sink_;
  std::optional<Fetcher> fetcher_;
  std::optional<Result<Bytes>> answer_;
  uint64_t progress_ = 0;
  const Bytes weights_ = Bytes(4000, 7);
  const Digest address_ = kernels::blake3(weights_);
};

TEST_F(BlobFetcher, KeepsWhatWasAskedForAndFindsItAgain) {
  fetch(address_, weights_.size());
  until_asked();
  fetcher_->on_blob(part(weights_));
  until_answered();
  ASSERT_TRUE(answer_->ok());
  EXPECT_EQ(answer_->value(), weights_);
  EXPECT_EQ(progress_, weights_.size());
  sink_.sent.clear();
  fetch(address_, weights_.size());
  until_answered();
  EXPECT_EQ(answer_->value(), weights_);
  EXPECT_TRUE(sink_.sent.empty());
}

TEST_F(BlobFetcher, LoadsADamagedOneAgain) {
  Bytes damaged = weights_;
  damaged[99] ^= 1;
  ASSERT_TRUE(write_durable(path(address_), damaged));
  fetch(address_, weights_.size());
  until_asked();
  fetcher_->on_blob(part(weights_));
  until_answered();
  EXPECT_EQ(answer_->value(), weights_);
}

TEST_F(BlobFetcher, RefusesABlobOfAnotherLengthBeforeItIsKept) {
  fetch(address_, 4004);
  until_asked();
  fetcher_->on_blob(part(weights_));
  ASSERT_TRUE(answer_);
  EXPECT_THAT(answer_->error().detail, HasSubstr("has 4000 bytes; what the pool names it for has "
                                                 "4004"));
  EXPECT_FALSE(PieceFile::open(path(address_)));
  EXPECT_FALSE(PieceFile::open(part_path(path(address_))));
}

// The address of something else that is here already: of the data, say, in place of the weights.
TEST_F(BlobFetcher, RefusesACachedBlobOfAnotherLength) {
  ASSERT_TRUE(write_durable(path(address_), weights_));
  for (const uint64_t wanted : {4001, 8000}) {
    fetch(address_, wanted);
    until_answered();
    EXPECT_EQ(answer_->error().code, Errc::invalid);
    EXPECT_THAT(answer_->error().detail, HasSubstr("has 4000 bytes"));
  }
}

TEST_F(BlobFetcher, RefusesOtherBytesPlacesAndCuts) {
  const auto refused = [&](const auto& change) {
    sink_.sent.clear();
    fetch(address_, weights_.size());
    until_asked();
    BlobPart wrong = part(weights_);
    change(wrong.part);
    fetcher_->on_blob(wrong);
    return answer_ && !answer_->ok() && !PieceFile::open(path(address_));
  };
  EXPECT_TRUE(refused([](Part& part) { part.bytes[17] ^= 1; }));
  EXPECT_TRUE(refused([](Part& part) { part.first_group = 8; }));
  EXPECT_TRUE(refused([](Part& part) { part.first_group = 1; }));
  EXPECT_TRUE(refused([](Part& part) { part.bytes.pop_back(); }));
  EXPECT_TRUE(refused([](Part& part) { part.siblings.emplace_back(); }));
  EXPECT_FALSE(refused([](Part&) {})) << "the fetcher lives on";
  until_answered();
  EXPECT_TRUE(answer_->ok());
}

TEST_F(BlobFetcher, SaysWhatThePoolHasNot) {
  fetch(address_, weights_.size());
  until_asked();
  fetcher_->on_error({sink_.seq + 7, WireError::unknown_blob, 0, "another frame's"});
  EXPECT_FALSE(answer_);
  fetcher_->on_error({sink_.seq, WireError::unknown_blob, 0, "none"});
  ASSERT_TRUE(answer_);
  EXPECT_THAT(answer_->error().detail, HasSubstr("the pool has no such blob"));
}

// A limit of ours is never a failure: what is asked for beyond it waits in line.
TEST_F(BlobFetcher, PutsManyInLine) {
  std::vector<Bytes> blobs;
  size_t answered = 0;
  for (uint8_t i = 0; i < 40; ++i) {
    blobs.emplace_back(100, i);
    fetcher_->fetch(kernels::blake3(blobs.back()), 100, [&](const Result<Bytes>& done) {
      EXPECT_TRUE(done);
      ++answered;
    });
  }
  size_t most = 0;
  until([&] {
    const auto asked = sink_.take<GetBlob>();
    most = std::max(most, asked.size());
    for (const GetBlob& get : asked)
      for (const Bytes& blob : blobs)
        if (kernels::blake3(blob) == get.address) fetcher_->on_blob(part(blob));
    return answered == blobs.size();
  });
  EXPECT_LE(most, kFetchesAtOnceMax + 1);
}

class BigBlob : public BlobFetcher {
 protected:
  BigBlob() {
    for (size_t i = 0; i < bytes_.size(); ++i)
      bytes_[i] = static_cast<uint8_t>(i * i >> 7);
    root_ = kernels::blake3(bytes_);
    GEMMINE_CHECK(write_durable(pool_.path() + "/blob", bytes_).ok());
    GEMMINE_CHECK(make_tree(pool_.path() + "/blob", root_).ok());
    reader_.emplace(std::move(PartReader::open(pool_.path() + "/blob", root_).value()));
  }
  void answer(const GetBlob& get) {
    fetcher_->on_blob({root_, reader_->part({get.first_group, get.groups}).value()});
  }
  // Answers what is asked until the blob is here.
  void serve() {
    until([this] {
      for (const GetBlob& get : sink_.take<GetBlob>())
        answer(get);
      return answer_.has_value();
    });
  }
  Bytes bytes_ = Bytes(50 * kGroupBytes + 3);
  Digest root_;
  TempDirectory pool_;
  std::optional<PartReader> reader_;
};

TEST_F(BigBlob, ComesPartByPartWithAWindow) {
  fetch(root_, bytes_.size());
  until_asked();
  EXPECT_EQ(sink_.sent.size(), kPartsInFlightMax);
  serve();
  EXPECT_EQ(answer_->value(), bytes_);
}

TEST_F(BigBlob, GoesOnAfterAReconnectAndAfterAKill) {
  fetch(root_, bytes_.size());
  until_asked();
  answer(sink_.take<GetBlob>()[0]);
  sink_.sent.clear();
  fetcher_->on_ready();
  auto asked = sink_.take<GetBlob>();
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked[0].first_group, kPartGroups);
  begin();  // the process was killed
  fetch(root_, bytes_.size());
  until_asked();
  asked = sink_.take<GetBlob>();
  EXPECT_EQ(asked[0].first_group, kPartGroups);
  for (const GetBlob& get : asked)
    answer(get);
  serve();
  EXPECT_EQ(answer_->value(), bytes_);
}

TEST_F(BigBlob, AsksAgainForWhatThePoolWasTooBusyFor) {
  fetch(root_, bytes_.size());
  until_asked();
  const auto asked = sink_.take<GetBlob>();
  fetcher_->on_error({1, WireError::too_many, 1, "later"});
  for (size_t i = 1; i < asked.size(); ++i)
    answer(asked[i]);  // what was under way meanwhile
  EXPECT_FALSE(answer_);
  serve();
  EXPECT_EQ(answer_->value(), bytes_);
}

}  // namespace
}  // namespace gemmine::pool
