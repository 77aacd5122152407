// Audit threads: tasks in, results back to the loop through a mailbox.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pool/net/loop.h"
#include "pool/server/examiner.h"

namespace gemmine::pool {

// Bounded by what feeds it: kAuditsPendingMax audits, a merge a job, an evaluation a round.
class Workers {
 public:
  // jobs outlives the workers. on_done runs on the loop.
  Workers(Loop& loop, const JobTable& jobs, std::string blobs, uint32_t threads,
          uint64_t cache_bytes, std::function<void(TaskDone)> on_done);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Merges overtake: a round waits for them. Evaluations and deletions go last.
  void post(Task task);
  // Nothing waits and nothing runs; results may still be in the mailbox.
  bool idle() const;
  size_t waiting() const;

 private:
  void work(const std::stop_token& stop);

  const JobTable& jobs_;
  const std::string blobs_;
  StateCache cache_;
  Mailbox<TaskDone> mailbox_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Task> tasks_;
  std::deque<Task> evaluations_;
  size_t running_ = 0;
  std::vector<std::jthread> threads_;  // last: joined first
};

}  // namespace gemmine::pool
