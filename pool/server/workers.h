// Audit threads: tasks in, results back to the loop through a mailbox.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/task_queue.h"
#include "pool/net/loop.h"
#include "pool/server/examiner.h"

namespace gemmine::pool {

class Workers {
 public:
  struct Options {
    std::string blobs;  // folder
    uint32_t threads = 1;
    OpenStore open_store = {};  // to read
    Digest pool_key = {};       // whose words proofs rest on
  };
  // jobs outlives the workers. on_done runs on the loop. Errors: busy (no thread).
  static Result<std::unique_ptr<Workers>> start(Loop& loop, const JobTable& jobs,
                                                const Options& options,
                                                std::function<void(TaskDone)> on_done);
  ~Workers();  // drops what waits, ends replays between two steps, and lets the rest end
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Merges overtake: a round waits for them. Evaluations and deletions go last. Bounded by what
  // feeds it: kAuditsPendingMax audits, a merge a job, an evaluation and a deletion a round. Files
  // that accuse somebody have a thread of their own: no replay makes them wait.
  void post(Task task);
  // Nothing waits and nothing runs; results may still be in the mailbox.
  bool idle() const { return queue_.idle() && files_.idle(); }
  size_t waiting() const { return queue_.waiting() + files_.waiting(); }

 private:
  Workers(Loop& loop, const JobTable& jobs, const Options& options,
          std::function<void(TaskDone)> on_done);
  void work(const Task& task, int worker, const std::stop_token& stop);

  Mailbox<TaskDone> mailbox_;
  std::vector<std::unique_ptr<Examiner>> examiners_;  // one for each thread, the last for files
  TaskQueue<Task> queue_;                             // last: their threads end first
  TaskQueue<Task> files_;
};

}  // namespace gemmine::pool
