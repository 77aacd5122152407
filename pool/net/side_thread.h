// A thread beside the loop for work that is too slow for it: files, hashes, fsync.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/base/task_queue.h"
#include "pool/net/loop.h"

namespace gemmine::pool {

// Work in the order it was posted. Whoever posts bounds how much waits. Where the system has no
// thread for it, the loop does it: late, and right.
class SideThread {
 public:
  explicit SideThread(Loop& loop);
  ~SideThread() = default;  // ends the work in hand, drops the rest; the loop is told no more
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  // The loop's thread. work() runs beside it, then `then(its result)` on the loop.
  template <class Work, class Then>
  void post(Work work, Then then) {
    post_job(std::make_unique<JobOf<Work, Then>>(std::move(work), std::move(then)));
  }
  size_t waiting() const { return waiting_; }  // posted, and not told to the loop yet

 private:
  class Job {
   public:
    virtual ~Job() = default;
    virtual void work() = 0;  // beside the loop
    virtual void tell() = 0;  // on it
  };
  template <class Work, class Then>
  class JobOf final : public Job {
   public:
    JobOf(Work work, Then then) : work_(std::move(work)), then_(std::move(then)) {}
    void work() override { result_.emplace(work_()); }
    void tell() override { then_(std::move(*result_)); }

   private:
    Work work_;
    Then then_;
    std::optional<decltype(std::declval<Work&>()())> result_;
  };

  void post_job(std::unique_ptr<Job> job);

  size_t waiting_ = 0;  // the loop's
  Mailbox<std::unique_ptr<Job>> done_;
  TaskQueue<std::unique_ptr<Job>> queue_;  // last: its thread ends first
};

}  // namespace gemmine::pool
