#include "kernels/base/task_queue.h"

#include <atomic>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/refused_threads.h"

namespace gemmine {
namespace {

using Token = const std::stop_token&;

TEST(TaskQueue, WorksOffWhatWasPostedBeforeAndAfterItsStart) {
  std::atomic<int> sum{0};
  TaskQueue<int> queue(100);
  EXPECT_TRUE(queue.post(1));
  ASSERT_TRUE(queue.start(2, [&sum](int task, int, Token) { sum += task; }));
  EXPECT_EQ(queue.threads(), 2);
  for (int i = 2; i <= 50; ++i)
    EXPECT_TRUE(queue.post(i));
  queue.finish();
  EXPECT_EQ(sum, 50 * 51 / 2);
  EXPECT_TRUE(queue.idle());
  EXPECT_FALSE(queue.post(1));
}

TEST(TaskQueue, UrgentTasksOvertakeAndEqualOnesKeepTheirOrder) {
  std::string order;
  TaskQueue<char> queue(10);
  for (const char task : {'a', 'b'})
    EXPECT_TRUE(queue.post(task, 0));
  EXPECT_TRUE(queue.post('y', 1));
  EXPECT_TRUE(queue.post('z', -1));
  EXPECT_TRUE(queue.post('x', 2));
  EXPECT_TRUE(queue.post('Y', 1));
  ASSERT_TRUE(queue.start(1, [&order](char task, int, Token) { order += task; }));
  queue.finish();
  EXPECT_EQ(order, "xyYabz");
}

TEST(TaskQueue, RefusesMoreThanItsBound) {
  TaskQueue<int> queue(2);
  EXPECT_TRUE(queue.post(1));
  EXPECT_TRUE(queue.post(2));
  EXPECT_FALSE(queue.post(3));
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_FALSE(queue.idle());
}

TEST(TaskQueue, StopTellsTheTaskInHandAndDropsTheRest) {
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  TaskQueue<std::unique_ptr<int>> queue(10);
  ASSERT_TRUE(queue.start(1, [&](std::unique_ptr<int>, int worker, Token stop) {
    EXPECT_EQ(worker, 0);
    ++begun;
    while (!stop.stop_requested())
      std::this_thread::yield();
    ++ended;
  }));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(queue.post(std::make_unique<int>(i)));
  while (begun == 0)
    std::this_thread::yield();
  EXPECT_FALSE(queue.idle());
  queue.stop();
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(ended, 1);
  queue.stop();
}

TEST(TaskQueue, CannotStartWhereThreadsAreRefused) {
  TaskQueue<int> queue(1);
  const test::RefusedThreads refused;
  const Status started = queue.start(3, [](int, int, Token) {});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::busy);
}

}  // namespace
}  // namespace gemmine
