// The auditor's thread: runs shares again, one after the other, and posts back what it found.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/task_queue.h"
#include "kernels/engine.h"
#include "pool/net/loop.h"
#include "verifier/audit/replay.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

inline constexpr size_t kReplaysMax = 64;  // handed over and not reported yet

// What is looked at stays where it is, unchanged, until the replay is reported.
struct ReplayTask {
  const verifier::Work* work = nullptr;
  const Bytes* train_records = nullptr;
  const verifier::Lease* lease = nullptr;
  const std::vector<float>* theta = nullptr;
  std::vector<float> state;  // that the share begins with
  uint32_t index = 0;        // of the share
  verifier::Share claimed;
};

struct ReplayDone {
  Digest lease_id;
  uint32_t index = 0;
  verifier::Finding finding;
  Digest digest;                   // what the run has in place of what is wrong
  std::vector<float> state_after;  // empty unless the share could be run
};

class Replayer {
 public:
  // Errors: busy (no thread). on_done runs on the loop.
  static Result<std::unique_ptr<Replayer>> start(Loop& loop, std::string engine, int threads,
                                                 std::function<void(ReplayDone)> on_done);

  // False when kReplaysMax are under way: try again after the next on_done.
  [[nodiscard]] bool post(ReplayTask task);

 private:
  Replayer(Loop& loop, std::string engine, int threads, std::function<void(ReplayDone)> on_done);
  void work(const ReplayTask& task);
  verifier::Finding replay(const ReplayTask& task, ReplayDone& done);

  const std::string engine_name_;
  const int threads_;
  std::unique_ptr<kernels::Engine> engine_;  // the thread's, for the job at loaded_
  const verifier::Work* loaded_ = nullptr;
  std::function<void(ReplayDone)> on_done_;
  size_t under_way_ = 0;  // the loop's
  Mailbox<ReplayDone> mailbox_;
  TaskQueue<ReplayTask> queue_;  // last: joined before the mailbox goes
};

}  // namespace gemmine::pool
