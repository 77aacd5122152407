#include "kernels/base/threads.h"

#include <atomic>

#include <gtest/gtest.h>

#include "kernels/base/thread_pool.h"
#include "tests/support/refused_threads.h"

namespace gemmine {
namespace {

TEST(Threads, RunTheirBodyAndAreToldToStop) {
  std::atomic<bool> stopped{false};
  {
    auto thread = start_thread([&stopped](const std::stop_token& stop) {
      while (!stop.stop_requested())
        std::this_thread::yield();
      stopped = true;
    });
    ASSERT_TRUE(thread);
  }
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(try_threads(4));
}

TEST(Threads, ARefusalIsAnErrorThatSaysWhatToRaise) {
  const test::RefusedThreads refused;
  const auto thread = start_thread([](const std::stop_token&) {});
  ASSERT_FALSE(thread);
  EXPECT_EQ(thread.error().code, Errc::busy);
  EXPECT_NE(thread.error().detail.find("ulimit -u"), std::string::npos);
  EXPECT_FALSE(try_threads(1));
}

TEST(Threads, AComputePoolGoesOnWithTheThreadsThereAre) {
  const test::RefusedThreads refused;
  ThreadPool pool(4);
  EXPECT_EQ(pool.threads(), 1);
  int sum = 0;
  pool.run(10, [&sum](size_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum, 45);
}

}  // namespace
}  // namespace gemmine
