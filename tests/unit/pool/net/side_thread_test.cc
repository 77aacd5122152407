#include "pool/net/side_thread.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/loop.h"

namespace gemmine::pool {
namespace {

TEST(SideThreads, WorkBesideTheLoopAndTellItInOrder) {
  Loop loop = test::make_loop();
  SideThread side(loop);
  const auto here = std::this_thread::get_id();
  std::vector<int> told;
  for (int i = 0; i < 100; ++i) {
    side.post(
        [i, here] {
          EXPECT_NE(std::this_thread::get_id(), here);
          return std::make_unique<int>(i);
        },
        [&, i](std::unique_ptr<int> result) {
          EXPECT_EQ(std::this_thread::get_id(), here);
          EXPECT_EQ(*result, i);
          told.push_back(i);
          if (i == 99) loop.stop();
        });
  }
  EXPECT_EQ(side.waiting(), 100U);
  loop.run();
  EXPECT_EQ(told.size(), 100U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(side.waiting(), 0U);
}

TEST(SideThreads, EndWithoutTellingTheRest) {
  Loop loop = test::make_loop();
  bool told = false;
  {
    SideThread side(loop);
    side.post([] { return 1; }, [&](int) { told = true; });
  }
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace gemmine::pool
