// What a device may report, and when its owner should stop it.
#include "miner/reports.h"

#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

TEST_F(Scene, ADeviceThatIsLostOrComputesWrongNumbersEndsTheMiner) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device_fails(one, 0, Trouble::wrong_numbers, "own share does not check");
  EXPECT_TRUE(state_.ended);
  EXPECT_EQ(state_.ending.code, ExitCode::wrong_numbers);
  EXPECT_EQ(given_back(), 1U);
}

TEST_F(Scene, ALostDeviceGivesBackWhatItHasBegun) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  device_fails(one, 1, Trouble::lost, "the device is gone");
  EXPECT_TRUE(state_.ended);
  EXPECT_EQ(state_.ending.code, ExitCode::no_device);
  EXPECT_EQ(given_back(), 1U);
}

TEST_F(Scene, AJobThatNeverFitsIsLeftToOthersAndOneThatDidComesBack) {
  join();
  const verifier::Lease first = lease();
  grant(first);
  device(computed(first, 0));
  accept(first, 0);
  device_fails(first, 1, Trouble::job, "no memory");
  EXPECT_FALSE(state_.jobs.at(job_id_).refused);
  EXPECT_EQ(given_back(), 1U);
  wait(Pause::kFirstMs);
  EXPECT_EQ(sent<pool::GetLease>(), 2U);
  grant(lease());
  device_fails(lease(), 0, Trouble::job);  // of a lease that nobody knows
  EXPECT_FALSE(state_.jobs.at(job_id_).refused);
}

TEST_F(Scene, AnInterruptedShareIsRunAgain) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device_fails(one, 0, Trouble::interrupted);
  EXPECT_EQ(posted<RunShare>(), 2U);
  EXPECT_EQ(given_back(), 0U);
}

TEST_F(Scene, ReportsOfForgottenLeasesAreDropped) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  const ShareDone done = computed(one, 0);
  close_lease(one);
  device(done);
  EXPECT_EQ(sent<pool::ShareMessage>(), 0U);
}

// Its folder went with it: nothing is wrong with the disk.
TEST_F(Scene, AShareOfAClosedLeaseThatCannotBeKeptIsNoError) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  close_lease(one);
  device_fails(one, 0, Trouble::disk, "cannot create state-1.tmp");
  EXPECT_EQ(told("share_failed", pool::Level::error), 0U);
  EXPECT_EQ(told("share_failed", pool::Level::debug), 1U);
  const verifier::Lease two = lease();
  grant(two);
  device_fails(two, 0, Trouble::disk, "no space left on device");
  EXPECT_EQ(told("share_failed", pool::Level::error), 1U);
}

TEST_F(Scene, EveryReportAnswersATask) {
  join();
  EXPECT_DEATH(device_fails(lease(), 0, Trouble::lease), "tasks");
}

}  // namespace
}  // namespace gemmine::miner
