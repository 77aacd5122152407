#include "miner/pace.h"

#include <thread>

#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"

namespace gemmine::miner {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Clock = Pace::Clock;

TEST(Pace, RestsInProportion) {
  EXPECT_EQ(rest_after(milliseconds(10), 100), milliseconds(0));
  EXPECT_EQ(rest_after(milliseconds(10), 50), milliseconds(10));
  EXPECT_EQ(rest_after(milliseconds(10), 20), milliseconds(40));
  EXPECT_EQ(rest_after(milliseconds(10), 1), milliseconds(990));
  EXPECT_EQ(rest_after(nanoseconds(0), 1), nanoseconds(0));
}

TEST(PaceDeathTest, RefusesWhatIsNoPart) {
  EXPECT_DEATH(rest_after(milliseconds(1), 0), "percent");
  EXPECT_DEATH(Pace(101), "percent");
  Pace pace(100);
  EXPECT_DEATH(pace.begin_share(0), "steps");
  EXPECT_DEATH(pace.challenge_taken(), "waiting");
}

TEST(Pace, RestsAfterEveryStepOfAShareAndNotOfAnAnswer) {
  Pace pace(25);
  pace.begin_share(2);
  auto start = Clock::now();
  pace.after_step(milliseconds(5));
  EXPECT_GE(Clock::now() - start, milliseconds(15));
  pace.begin_answer();
  start = Clock::now();
  pace.after_step(seconds(60));
  EXPECT_LT(Clock::now() - start, seconds(20));
}

TEST(Pace, ChangesNoBit) {
  const test::Toy toy("job_sgd");
  Pace pace(50);
  const auto plain = toy.engine();
  const auto slow = paced(toy.engine(), pace);
  EXPECT_EQ(slow->name(), plain->name());
  ASSERT_TRUE(plain->load_state(toy.start(0), 0).ok());
  ASSERT_TRUE(slow->load_state(toy.start(0), 0).ok());
  pace.begin_share(3);
  for (uint32_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(plain->run_step({0, 0, step}, nullptr).ok());
    ASSERT_TRUE(slow->run_step({0, 0, step}, nullptr).ok());
  }
  std::vector<float> left(toy.program.state_floats());
  std::vector<float> right(toy.program.state_floats());
  ASSERT_TRUE(plain->read_state(left).ok());
  ASSERT_TRUE(slow->read_state(right).ok());
  EXPECT_EQ(left, right);
  EXPECT_EQ(slow->read_tensor(0).value(), plain->read_tensor(0).value());
}

// What a rest waits for ends it: a challenge, the end of the share, the end of everything.
void expect_awake(void (*what)(Pace&)) {
  Pace pace(1);
  pace.begin_share(10);
  std::thread loop([&] {
    std::this_thread::sleep_for(milliseconds(5));
    what(pace);
  });
  const auto start = Clock::now();
  pace.after_step(seconds(2));  // and a rest of 198 s
  EXPECT_LT(Clock::now() - start, seconds(60));
  loop.join();
}

TEST(Pace, AChallengeOrAnEndWakesIt) {
  expect_awake([](Pace& pace) { pace.challenge_waits(Clock::now(), 1); });
  expect_awake([](Pace& pace) { pace.end_share(); });
  expect_awake([](Pace& pace) { pace.end_all(); });
}

TEST(Pace, AShareGivesWayOnlyWhenTheAnswerCouldBeLate) {
  Pace pace(100);
  pace.begin_share(10);
  pace.after_step(milliseconds(100));
  pace.challenge_waits(Clock::now() + seconds(60), 10);
  EXPECT_TRUE(pace.may_step());  // 0.9 s of the share, and 1 s for the answer: time enough
  pace.challenge_waits(Clock::now() + milliseconds(1500), 10);
  EXPECT_FALSE(pace.may_step());
  EXPECT_TRUE(pace.interrupted());
  EXPECT_TRUE(pace.gave_way());
  pace.challenge_taken();
  pace.challenge_taken();
  pace.begin_answer();
  EXPECT_TRUE(pace.may_step());
  EXPECT_FALSE(pace.interrupted());
}

TEST(Pace, AnEndOfTheShareLetsAnswersGoOn) {
  const test::Toy toy("job_sgd");
  Pace pace(100);
  const auto engine = paced(toy.engine(), pace);
  ASSERT_TRUE(engine->load_state(toy.start(0), 0).ok());
  pace.begin_share(4);
  pace.end_share();
  const auto refused = engine->run_step({0, 0, 0}, nullptr);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::busy);
  pace.begin_answer();
  EXPECT_TRUE(engine->run_step({0, 0, 0}, nullptr).ok());
  pace.end_all();
  EXPECT_FALSE(engine->run_step({0, 0, 1}, nullptr).ok());
}

}  // namespace
}  // namespace gemmine::miner
