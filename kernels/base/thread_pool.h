// ThreadPool: fork and join one job of numbered tasks over a fixed set of threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace gemmine {

inline constexpr int kPoolThreadsMax = 1024;

// A borrowed callable void(size_t task); lives no longer than the expression it was made in.
class TaskRef {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, TaskRef>)
      // NOLINTNEXTLINE(google-explicit-constructor): a lambda is passed where a TaskRef is wanted.
      TaskRef(F&& callable)
      : object_(const_cast<void*>(static_cast<const void*>(&callable))),
        call_([](void* o, size_t i) { (*static_cast<std::remove_reference_t<F>*>(o))(i); }) {}
  void operator()(size_t task) const { call_(object_, task); }

 private:
  void* object_;
  void (*call_)(void*, size_t);
};

// The calling thread works too, so ThreadPool(1) starts no thread. Tasks are handed out in rising
// order to whichever thread is free: results must not depend on who ran what. Every task runs with
// the floating-point environment of the protocol (round to nearest, denormals kept); the caller's
// own is put back. Tasks must not throw and must not call run() on the same pool. One job at a
// time: two run() calls at once on one pool are a bug and stop the process.
class ThreadPool {
 public:
  // 1 <= threads <= kPoolThreadsMax. If the system refuses a thread, the pool has fewer.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Threads that work on a job, the caller included.
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(0) … task(tasks - 1), each once, and returns when all have returned; what they
  // wrote is then visible to the caller. tasks < 2^32.
  void run(size_t tasks, TaskRef task);

 private:
  void work();
  void work_on_current_job();
  void wait_for_job();
  void wait_for_end(size_t tasks);

  // Job number in the upper half, tasks not yet claimed in the lower: it never takes a value twice,
  // so a thread that wakes late cannot claim from, or read the fields of, a job that has ended.
  alignas(64) std::atomic<uint64_t> claim_{0};
  alignas(64) std::atomic<size_t> done_{0};
  alignas(64) std::atomic<const TaskRef*> task_{nullptr};
  std::atomic<size_t> tasks_{0};
  std::atomic<bool> running_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<int> sleepers_{0};
  std::atomic<int> caller_cpu_{-1};  // where run() woke the sleepers
  std::atomic<int> waker_cpu_{-1};   // where the last task ended that the caller slept for
  std::atomic<bool> caller_sleeps_{false};
  std::mutex mutex_;
  std::condition_variable job_posted_;
  std::condition_variable job_ended_;
  std::vector<std::thread> workers_;
};

}  // namespace gemmine
