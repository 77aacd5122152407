// TaskQueue: threads that work through a bounded queue; it can fail to start, and it can stop.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/base/threads.h"

namespace gemmine {

// Make it the last member of its owner: its threads, which use the owner, are joined first.
// post(), waiting() and idle() may be called from any thread, the rest from the owner's.
template <class Task>
class TaskQueue {
 public:
  // Runs on thread `worker`, 0 <= worker < threads(), one task at a time on each. Must not throw.
  // `stop` tells that stop() was called: work that waits for something else looks at it.
  using Work = std::function<void(Task task, int worker, const std::stop_token& stop)>;

  // 1 <= tasks_max: how many tasks may wait.
  explicit TaskQueue(size_t tasks_max) : tasks_max_(tasks_max) { GEMMINE_CHECK(tasks_max >= 1); }
  ~TaskQueue() { stop(); }
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  // 1 <= threads. Once. Where the system refuses some threads there are fewer; tasks posted
  // before are worked on now. Errors: busy, when there is not one thread.
  [[nodiscard]] Status start(int threads, Work work) {
    GEMMINE_CHECK(threads >= 1 && threads_.empty());
    work_ = std::move(work);
    for (int worker = 0; worker < threads; ++worker) {
      auto thread = start_thread([this, worker](const std::stop_token&) { serve(worker); });
      if (!thread && worker == 0) return thread.error();
      if (!thread) break;
      threads_.push_back(std::move(thread.value()));
    }
    return Ok{};
  }

  // False, and the task is dropped, when tasks_max tasks wait, or after stop() and finish().
  // Tasks of higher urgency overtake; equal ones keep the order of posting.
  [[nodiscard]] bool post(Task task, int urgency = 0) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_ || tasks_.size() >= tasks_max_) return false;
      const auto later = [urgency](const Entry& entry) { return entry.urgency < urgency; };
      tasks_.insert(std::find_if(tasks_.begin(), tasks_.end(), later),
                    Entry{std::move(task), urgency});
    }
    changed_.notify_one();
    return true;
  }

  // Drops what waits, lets the tasks in hand end, joins. Nothing happens the second time.
  void stop() {
    stop_.request_stop();
    {
      const std::lock_guard lock(mutex_);
      tasks_.clear();
    }
    finish();
  }

  // Works off what waits, then joins. Without threads, what waits is dropped.
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    threads_.clear();
  }

  int threads() const { return static_cast<int>(threads_.size()); }
  size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return tasks_.size();
  }
  // Nothing waits and nothing runs.
  bool idle() const {
    const std::lock_guard lock(mutex_);
    return tasks_.empty() && running_ == 0;
  }

 private:
  struct Entry {
    Task task;
    int urgency;
  };

  void serve(int worker) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      Entry entry = std::move(tasks_.front());
      tasks_.pop_front();
      ++running_;
      lock.unlock();
      work_(std::move(entry.task), worker, stop_.get_token());
      lock.lock();
      --running_;
    }
  }

  const size_t tasks_max_;
  Work work_;
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> tasks_;
  size_t running_ = 0;
  bool ending_ = false;
  std::vector<std::jthread> threads_;  // last: joined first
};

}  // namespace gemmine
