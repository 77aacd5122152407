// The ledger's thread: in order, told once durable, patient with a disk that fails.
#include "pool/store/writer.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "tests/unit/pool/store/fake_store.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using verifier::SignedRecord;

class WriterThread : public testing::Test {
 protected:
  WriterThread()
      : blobs_(Blobs::open(folder_.path() + "/blobs")), give_up_(loop_, [this] {
          ADD_FAILURE() << "the loop did not come to an end";
          loop_.stop();
        }) {}
  void start() {
    auto started = Writer::start(
        loop_,
        {.store = std::make_unique<FakeStore>(disk_),
         .blobs = &blobs_.value(),
         .evaluations = folder_.path() + "/evaluations"},
        {.on_durable =
             [this](std::vector<SignedRecord> records) {
               for (const SignedRecord& record : records)
                 log_.push_back("durable " + std::to_string(record.seq));
               if (on_durable) return on_durable();
               loop_.stop();
             },
         .on_stalled =
             [this](const std::string& reason) {
               log_.push_back("stalled: " + reason);
               if (on_stalled) on_stalled();
             },
         .on_read =
             [this](uint64_t ticket, uint64_t first, std::vector<SignedRecord> records) {
               log_.push_back("read " + std::to_string(ticket) + " from " + std::to_string(first) +
                              ": " + std::to_string(records.size()));
               loop_.stop();
             }});
    ASSERT_TRUE(started);
    writer_ = std::move(started.value());
  }
  static SignedRecord record(uint64_t seq) {
    return {{seq, 1, verifier::RecordKind::member, Bytes(10, 1)}, {}, {}};
  }
  void run() {
    give_up_.start(20'000);
    loop_.run();
    give_up_.stop();
  }

  TempDirectory folder_;
  Result<Blobs> blobs_;
  Loop loop_ = std::move(Loop::make().value());
  Timer give_up_;
  FakeDisk disk_;
  std::vector<std::string> log_;
  std::function<void()> on_durable;
  std::function<void()> on_stalled;
  std::unique_ptr<Writer> writer_;
};

TEST_F(WriterThread, TellsWhenAStepIsDurableAndNotBefore) {
  start();
  writer_->post({.blobs = {Bytes(100, 3)}, .records = {record(0), record(1)}, .kept = {}});
  EXPECT_TRUE(writer_->writing());
  EXPECT_TRUE(log_.empty());
  run();
  EXPECT_FALSE(writer_->writing());
  EXPECT_EQ(log_, (std::vector<std::string>{"durable 0", "durable 1"}));
  EXPECT_TRUE(blobs_.value().has(kernels::blake3(Bytes(100, 3))));
  EXPECT_EQ(disk_.size(), 2u);
}

TEST_F(WriterThread, SaysOnceThatItStallsAndGoesOnByItself) {
  start();
  disk_.fails = true;
  on_stalled = [this] { disk_.fails = false; };
  writer_->post({.blobs = {}, .records = {record(0)}, .kept = {}});
  run();
  EXPECT_EQ(log_, (std::vector<std::string>{"stalled: disk full", "durable 0"}));
}

TEST_F(WriterThread, WritesNoRecordWhoseBlobIsNotThere) {
  start();
  ASSERT_TRUE(std::filesystem::remove(folder_.path() + "/blobs"));
  on_stalled = [this] {
    EXPECT_TRUE(disk_.size() == 0);
    std::filesystem::create_directory(folder_.path() + "/blobs");
  };
  writer_->post({.blobs = {Bytes(100, 3)}, .records = {record(0)}, .kept = {}});
  run();
  EXPECT_EQ(log_.back(), "durable 0");
  EXPECT_EQ(log_.size(), 2u);
  EXPECT_TRUE(blobs_.value().has(kernels::blake3(Bytes(100, 3))));
}

TEST_F(WriterThread, ReadsWhatIsDurable) {
  start();
  on_durable = [this] { EXPECT_TRUE(writer_->read(77, 1, 10, 1000)); };
  writer_->post({.blobs = {}, .records = {record(0), record(1), record(2)}, .kept = {}});
  run();
  EXPECT_EQ(log_.back(), "read 77 from 1: 2");
}

TEST_F(WriterThread, AnswersNothingWhenItCannotRead) {
  start();
  disk_.fails = true;
  EXPECT_TRUE(writer_->read(5, 0, 10, 1000));
  run();
  EXPECT_EQ(log_.back(), "read 5 from 0: 0");
}

TEST_F(WriterThread, BoundsTheReadsThatWait) {
  start();
  disk_.fails = true;
  bool bounded = false;
  on_stalled = [&] {  // the thread waits for the disk, and reads wait behind it
    for (size_t i = 0; i < kReadsWaitingMax + 1; ++i)
      bounded = !writer_->read(i, 0, 1, 1);
    EXPECT_TRUE(bounded);
    loop_.stop();
  };
  writer_->post({.blobs = {}, .records = {record(0)}, .kept = {}});
  run();
  EXPECT_TRUE(bounded);
}

TEST_F(WriterThread, EndsWhileItsDiskFailsAndWritesWhatItCanBefore) {
  start();
  writer_->post({.blobs = {}, .records = {record(0)}, .kept = {}});
  writer_.reset();
  EXPECT_EQ(disk_.size(), 1u) << "what was posted is written before the end";
  disk_.fails = true;
  start();
  writer_->post({.blobs = {}, .records = {record(1)}, .kept = {}});
  writer_.reset();  // at once, not after the next retry
  EXPECT_EQ(disk_.size(), 1u);
}

TEST_F(WriterThread, KeepsEvaluations) {
  start();
  EvaluateDone done{
      .job_id = {}, .theta_root = {}, .round = 3, .correct = 90, .records = 100, .loss = 0.25};
  writer_->keep(done);
  writer_->keep(EvaluateDone{});  // failed: not worth keeping
  writer_.reset();
  const auto kept = read_evaluations(folder_.path() + "/evaluations");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].round, 3u);
}

}  // namespace
}  // namespace gemmine::pool
