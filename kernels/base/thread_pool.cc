#include "kernels/base/thread_pool.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#if defined(__linux__)
#include <sched.h>
#endif

#include <system_error>

#include "kernels/base/check.h"
#include "kernels/base/protocol_floats.h"

namespace gemmine {
namespace {

// Some hundreds of microseconds: longer than the last task of a product, or the gap between two
// products of one training step, takes; short enough to give a shared machine its core back.
constexpr int kSpins = 20000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

int current_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// A woken thread is often queued on the core of the thread that woke it, which is busy with the
// job, and stays there for milliseconds: longer than most jobs. Moves it away, then lets the
// scheduler have its way again. Where that is not allowed nothing happens.
void leave_cpu([[maybe_unused]] int cpu) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (cpu < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
#endif
}

uint64_t unclaimed(uint64_t claim) {
  return claim & UINT32_MAX;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  GEMMINE_CHECK(threads >= 1 && threads <= kPoolThreadsMax);
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int i = 1; i < threads; ++i)
      workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // boundary: std::thread throws. Fewer threads are slower, never wrong.
  }
}

ThreadPool::~ThreadPool() {
  GEMMINE_CHECK(!running_.load());
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  job_posted_.notify_all();
  for (std::thread& worker : workers_)
    worker.join();
}

void ThreadPool::run(size_t tasks, TaskRef task) {
  GEMMINE_CHECK(tasks <= UINT32_MAX);
  GEMMINE_CHECK(!running_.exchange(true));
  if (tasks > 0) {
    done_.store(0, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_relaxed);
    task_.store(&task, std::memory_order_relaxed);
    const uint64_t job = (claim_.load(std::memory_order_relaxed) >> 32) + 1;
    // Sequentially consistent with sleepers_: either we see the sleeper, or it sees the job.
    claim_.store(job << 32 | tasks);
    if (tasks > 1 && sleepers_.load() > 0) {
      caller_cpu_.store(current_cpu(), std::memory_order_relaxed);
      { const std::lock_guard lock(mutex_); }
      job_posted_.notify_all();
    }
    work_on_current_job();
    wait_for_end(tasks);
  }
  running_.store(false);
}

void ThreadPool::work() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    wait_for_job();
    work_on_current_job();
  }
}

void ThreadPool::work_on_current_job() {
  const ProtocolFloats floats;
  uint64_t claim = claim_.load(std::memory_order_acquire);
  while (unclaimed(claim) > 0) {
    // These belong to `claim` if the exchange succeeds: until its last task is claimed and done,
    // run() does not return and cannot be called again.
    const TaskRef* task = task_.load(std::memory_order_relaxed);
    const size_t tasks = tasks_.load(std::memory_order_relaxed);
    if (!claim_.compare_exchange_weak(claim, claim - 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      continue;
    }
    (*task)(tasks - unclaimed(claim));
    // Sequentially consistent with caller_sleeps_: either we see it, or the caller sees the count.
    if (done_.fetch_add(1) + 1 == tasks && caller_sleeps_.load()) {
      waker_cpu_.store(current_cpu(), std::memory_order_relaxed);
      { const std::lock_guard lock(mutex_); }
      job_ended_.notify_one();
    }
    claim = claim_.load(std::memory_order_acquire);
  }
}

void ThreadPool::wait_for_job() {
  const auto due = [this] { return unclaimed(claim_.load()) > 0 || stopping_.load(); };
  for (int spin = 0; spin < kSpins; ++spin) {
    if (due()) return;
    relax();
  }
  {
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1);
    job_posted_.wait(lock, due);
    sleepers_.fetch_sub(1);
  }
  const int cpu = current_cpu();
  if (cpu == caller_cpu_.load(std::memory_order_relaxed)) leave_cpu(cpu);
}

void ThreadPool::wait_for_end(size_t tasks) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (done_.load(std::memory_order_acquire) == tasks) return;
    relax();
  }
  {
    std::unique_lock lock(mutex_);
    caller_sleeps_.store(true);
    job_ended_.wait(lock, [this, tasks] { return done_.load() == tasks; });
    caller_sleeps_.store(false);
  }
  const int cpu = current_cpu();
  if (cpu == waker_cpu_.load(std::memory_order_relaxed)) leave_cpu(cpu);
}

}  // namespace gemmine
