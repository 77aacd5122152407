#include "miner/throttle.h"

#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"

namespace gemmine::miner {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(Throttle, RestsInProportion) {
  EXPECT_EQ(rest_after(milliseconds(10), 100), milliseconds(0));
  EXPECT_EQ(rest_after(milliseconds(10), 50), milliseconds(10));
  EXPECT_EQ(rest_after(milliseconds(10), 20), milliseconds(40));
  EXPECT_EQ(rest_after(milliseconds(10), 1), milliseconds(990));
  EXPECT_EQ(rest_after(nanoseconds(0), 1), nanoseconds(0));
}

TEST(ThrottleDeathTest, RefusesWhatIsNoPart) {
  EXPECT_DEATH(rest_after(milliseconds(1), 0), "percent");
  EXPECT_DEATH(rest_after(milliseconds(1), 101), "percent");
}

TEST(Throttle, RestsAfterEveryStepAndChangesNoBit) {
  const test::Toy toy("job_sgd");
  nanoseconds time{0};
  nanoseconds rested{0};
  const ThrottleClock clock{[&] { return time += milliseconds(2); },  // so a step takes 2 ms
                            [&](nanoseconds rest) { rested += rest; }};
  const auto plain = toy.engine();
  const auto slow = throttle(toy.engine(), 25, clock);
  EXPECT_EQ(slow->name(), plain->name());
  ASSERT_TRUE(plain->load_state(toy.start(0), 0).ok());
  ASSERT_TRUE(slow->load_state(toy.start(0), 0).ok());
  for (uint32_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(plain->run_step({0, 0, step}, nullptr).ok());
    ASSERT_TRUE(slow->run_step({0, 0, step}, nullptr).ok());
    EXPECT_EQ(rested, milliseconds(6) * (step + 1));
  }
  std::vector<float> left(toy.program.state_floats());
  std::vector<float> right(toy.program.state_floats());
  ASSERT_TRUE(plain->read_state(left).ok());
  ASSERT_TRUE(slow->read_state(right).ok());
  EXPECT_EQ(left, right);
  EXPECT_EQ(slow->read_tensor(0).value(), plain->read_tensor(0).value());
}

TEST(Throttle, LeavesAFreeDeviceAlone) {
  const test::Toy toy("job_sgd");
  auto engine = toy.engine();
  const kernels::Engine* const same = engine.get();
  EXPECT_EQ(throttle(std::move(engine), 100).get(), same);
}

}  // namespace
}  // namespace gemmine::miner
