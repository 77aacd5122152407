// Audit threads: every task is answered on the loop, the urgent ones first.
#include "pool/server/workers.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/kept_store.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class AuditThreads : public testing::Test {
 protected:
  void start(uint32_t threads) {
    auto started = Workers::start(
        loop_, jobs_, {.blobs = folder_.path(), .threads = threads, .open_store = open_kept(kept_)},
        [this](const TaskDone& done) {
          done_.push_back(done);
          if (done_.size() == expected_) loop_.stop();
        });
    ASSERT_TRUE(started);
    workers_ = std::move(started.value());
  }

  TempDirectory folder_;
  const KeptMap kept_;
  const JobTable jobs_;  // no job: every task fails at once, and says so
  Loop loop_ = std::move(Loop::make().value());
  std::vector<TaskDone> done_;
  size_t expected_ = 0;
  std::unique_ptr<Workers> workers_;
};

TEST_F(AuditThreads, AnswerEveryTask) {
  start(3);
  expected_ = 200;
  for (uint32_t i = 0; i < 100; ++i) {
    workers_->post(EvaluateTask{{}, i, {}});
    MergeTask merge;
    merge.round = i;
    workers_->post(merge);
  }
  loop_.run();
  std::vector<uint32_t> merged;
  for (const TaskDone& done : done_) {
    if (const auto* const merge = std::get_if<MergeDone>(&done)) {
      EXPECT_FALSE(merge->failed.empty());
      merged.push_back(merge->round);
    }
  }
  EXPECT_EQ(merged.size(), 100u);
  EXPECT_TRUE(workers_->idle());
  EXPECT_EQ(workers_->waiting(), 0u);
}

TEST_F(AuditThreads, EndWithWorkUndone) {
  start(1);
  for (uint32_t i = 0; i < 1000; ++i)
    workers_->post(EvaluateTask{{}, i, {}});
  workers_.reset();
}

}  // namespace
}  // namespace gemmine::pool
