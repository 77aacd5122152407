#include "kernels/base/thread_pool.h"

#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <chrono>
#include <vector>

namespace gemmine {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceAtAnyCount) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const size_t tasks : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<int> calls(tasks, 0);
      pool.run(tasks, [&](size_t i) { ++calls[i]; });
      EXPECT_EQ(calls, std::vector<int>(tasks, 1)) << threads << " threads";
    }
  }
}

TEST(ThreadPool, MakesWhatTasksWroteVisibleOverManyJobs) {
  ThreadPool pool(4);
  std::vector<uint64_t> sums(5, 0);
  for (uint64_t job = 1; job <= 3000; ++job) {
    pool.run(sums.size(), [&](size_t i) { sums[i] += job; });
  }
  EXPECT_EQ(sums, std::vector<uint64_t>(5, 3000u * 3001u / 2));
}

TEST(ThreadPool, WakesThreadsThatWentToSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // The caller holds one task and every other thread sleeps in the rest: all must take part.
    std::atomic<int> inside{0};
    pool.run(3, [&](size_t) {
      inside.fetch_add(1);
      while (inside.load() < 3)
        std::this_thread::yield();
    });
    EXPECT_EQ(inside.load(), 3);
  }
}

TEST(ThreadPool, LetsTheCallerSleepThroughALongTask) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  pool.run(2, [&](size_t i) {
    if (i == 1) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    done.fetch_add(1);
  });
  EXPECT_EQ(done.load(), 2);
}

#if defined(__x86_64__)
TEST(ThreadPool, KeepsDenormalsInTasksAndTheCallersOwnMode) {
  const unsigned saved = _mm_getcsr();
  const unsigned flush_to_zero = 0x9FC0;
  _mm_setcsr(flush_to_zero);
  ThreadPool pool(3);  // Threads inherit the mode of their maker.
  std::vector<unsigned> seen(64, 0);
  pool.run(seen.size(), [&](size_t i) { seen[i] = _mm_getcsr(); });
  const unsigned after = _mm_getcsr();
  _mm_setcsr(saved);
  for (const unsigned mode : seen)
    EXPECT_EQ(mode & 0xFFC0, 0x1F80u);
  EXPECT_EQ(after, flush_to_zero);
}
#endif

TEST(ThreadPoolDeathTest, RefusesAJobInsideAJob) {
  EXPECT_DEATH(
      {
        ThreadPool pool(1);
        pool.run(1, [&](size_t) { pool.run(1, [](size_t) {}); });
      },
      "check failed");
}

}  // namespace
}  // namespace gemmine
