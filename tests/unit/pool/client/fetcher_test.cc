// Blobs from a pool that may send anything: what is not the blob that was asked for is told
// precisely, and never kept.
#include "pool/client/fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "tests/support/loop.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::HasSubstr;

struct Nobody final : SessionObserver {
  void on_ready(const AuthOk&) override {}
  void on_message(MessageType, ByteView) override {}
  void on_error(const ErrorMessage&) override {}
  void on_down(const std::string&, uint64_t) override {}
  void on_end(SessionEnd, const std::string&) override {}
};

class BlobFetcher : public testing::Test {
 protected:
  BlobFetcher()
      : identity_(verifier::Identity::from_seed(Digest{})),
        session_(loop_, identity_, {.pools = {{"127.0.0.1", 1}}, .account = {}, .agent = {}},
                 nobody_),
        fetcher_(session_, folder_.path(), [](const Digest&, Fetcher::Progress) {}) {}

  std::optional<Result<Bytes>> fetch(const Digest& address, uint64_t bytes) {
    answer_.reset();
    fetcher_.fetch(address, bytes, [this](Result<Bytes> done) { answer_ = std::move(done); });
    return answer_;
  }
  // A blob of one part, as the pool sends it.
  static BlobPart part(const Bytes& blob) {
    return {kernels::blake3(blob), {blob.size(), 0, 8, {}, blob}};
  }
  bool is_kept(const Digest& address) const {
    return read_file(folder_.path() + "/" + to_hex(address.bytes), 1 << 20).ok();
  }

  TempDirectory folder_;
  Nobody nobody_;
  Loop loop_ = test::make_loop();
  verifier::Identity identity_;
  Session session_;
  Fetcher fetcher_;
  std::optional<Result<Bytes>> answer_;
  const Bytes weights_ = Bytes(4000, 7);
  const Digest address_ = kernels::blake3(weights_);
};

TEST_F(BlobFetcher, KeepsWhatWasAskedForAndFindsItAgain) {
  EXPECT_FALSE(fetch(address_, weights_.size()));
  fetcher_.on_blob(part(weights_));
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_EQ(answer_->value(), weights_);
  ASSERT_TRUE(fetch(address_, weights_.size()));
  EXPECT_EQ(answer_->value(), weights_);
}

TEST_F(BlobFetcher, RefusesABlobOfAnotherLengthBeforeItIsKept) {
  EXPECT_FALSE(fetch(address_, 4004));
  fetcher_.on_blob(part(weights_));
  ASSERT_TRUE(answer_);
  EXPECT_THAT(answer_->error().detail, HasSubstr("has 4000 bytes; what the pool names it for has "
                                                 "4004"));
  EXPECT_FALSE(is_kept(address_));
}

// The address of something else that is here already: of the data, say, in place of the weights.
TEST_F(BlobFetcher, RefusesACachedBlobOfAnotherLength) {
  ASSERT_TRUE(write_durable(folder_.path() + "/" + to_hex(address_.bytes), weights_).ok());
  for (const uint64_t wanted : {4001, 8000}) {
    ASSERT_TRUE(fetch(address_, wanted));
    EXPECT_EQ(answer_->error().code, Errc::invalid);
    EXPECT_THAT(answer_->error().detail, HasSubstr("has 4000 bytes"));
  }
}

TEST_F(BlobFetcher, RefusesOtherBytesPlacesAndCuts) {
  const auto refused = [&](BlobPart wrong) {
    EXPECT_FALSE(fetch(address_, weights_.size()));
    wrong.address = address_;
    fetcher_.on_blob(wrong);
    return answer_ && !answer_->ok() && !is_kept(address_);
  };
  BlobPart wrong = part(weights_);
  wrong.part.bytes[17] ^= 1;
  EXPECT_TRUE(refused(wrong));
  wrong = part(weights_);
  wrong.part.first_group = 8;
  EXPECT_TRUE(refused(wrong));
  wrong = part(weights_);
  wrong.part.first_group = 1;
  EXPECT_TRUE(refused(wrong));
  wrong = part(weights_);
  wrong.part.bytes.pop_back();
  EXPECT_TRUE(refused(wrong));
  wrong = part(weights_);
  wrong.part.siblings.push_back(address_);
  EXPECT_TRUE(refused(wrong));
  EXPECT_FALSE(fetch(address_, weights_.size()));
  fetcher_.on_blob(part(weights_));
  EXPECT_TRUE(answer_ && answer_->ok()) << "the fetcher lives on";
}

}  // namespace
}  // namespace gemmine::pool
