// What a miner does next: work, giving back, asking, ending. Bug reports F02, A2, A16.
#include "miner/leases.h"

#include <filesystem>
#include <fstream>

#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

TEST_F(Scene, AsksForALeaseRunsItAndSendsItsShares) {
  join();
  EXPECT_EQ(sent<pool::GetLease>(), 1U);
  const verifier::Lease one = lease();
  grant(one);
  ASSERT_EQ(posted<RunShare>(), 1U);
  for (uint32_t index = 0; index < one.shares(); ++index) {
    device(computed(one, index));
    EXPECT_EQ(sent<pool::ShareMessage>(), index + 1);
    accept(one, index);
  }
  EXPECT_EQ(posted<RunShare>(), one.shares());
  EXPECT_EQ(all<SendDelta>().size(), 1U);
  EXPECT_EQ(sent<pool::GetLease>(), 2U) << "the next one, while the pool looks at this one";
}

TEST_F(Scene, GivesBackAtOnceWhatCannotGoOn) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  device_fails(one, 1, Trouble::lease);
  EXPECT_EQ(given_back(), 1U) << "whatever of it is done: another miner may have it";
  EXPECT_EQ(all<GiveBack>()[0].diverged, verifier::kNoStep);
}

TEST_F(Scene, SaysAtWhichStepTheJobDiverges) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  device_fails(one, 1, Trouble::diverged, "NaN or infinity", 3);
  ASSERT_EQ(given_back(), 1U);
  EXPECT_EQ(all<GiveBack>()[0].diverged, 3U);
}

TEST_F(Scene, AsksForNoLeaseWhileTheDiskIsFull) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  // A file where the folder was: nothing can be written, as on a full disk.
  const std::string leases = folder_.path() + "/leases";
  std::filesystem::rename(leases, leases + ".away");
  std::ofstream(leases) << "x";
  device_fails(one, 0, Trouble::disk, "No space left on device");
  EXPECT_EQ(given_back(), 1U);
  close_lease(one);
  forget();
  for (int second = 0; second < 100; ++second)
    wait(1'000);
  EXPECT_EQ(sent<pool::GetLease>(), 0U) << "not even when a lease is closed";
  EXPECT_EQ(told("disk", Level::error), 0U) << "said once";
  EXPECT_LE(told("disk_still_full", Level::debug), 7U) << "pauses grow";
  std::filesystem::remove(leases);
  std::filesystem::rename(leases + ".away", leases);
  wait(Pause::kCeilingMs);
  EXPECT_EQ(sent<pool::GetLease>(), 1U);
}

TEST_F(Scene, NothingEndsAPauseAfterTrouble) {
  join();
  uint64_t asked = 1;
  uint64_t pause = Pause::kFirstMs;
  for (int turn = 0; turn < 4; ++turn, pause *= 2) {
    const verifier::Lease one = lease();
    grant(one);
    device_fails(one, 0, Trouble::diverged, "NaN or infinity");
    EXPECT_EQ(given_back(), asked);
    close_lease(one);
    pool_says(pool::MessageType::round, pool::Round{job_id_, 0, theta_address(), false});
    pool_says(pool::MessageType::no_lease, pool::NoLease{50, "none"});
    wait(pause - 1);
    EXPECT_EQ(sent<pool::GetLease>(), asked);
    wait(1);
    EXPECT_EQ(sent<pool::GetLease>(), ++asked);
  }
  EXPECT_EQ(told("job_diverges", Level::error), 1U) << "once, not lease after lease";
  const verifier::Lease good = lease();
  grant(good);
  device(computed(good, 0));
  EXPECT_TRUE(state_.jobs.at(job_id_).pause.over(now_)) << "a success heals";
}

TEST_F(Scene, WeightsThatCannotBeHadGiveTheLeaseBackAndMakeAPause) {
  join();
  no_weights_ = Error{Errc::invalid, "the pool has no such blob"};
  grant(lease());
  EXPECT_EQ(given_back(), 1U);
  EXPECT_EQ(sent<pool::GetLease>(), 1U);
  wait(Pause::kFirstMs);
  EXPECT_EQ(sent<pool::GetLease>(), 2U);
}

// As after a restored backup: the pool knows of shares that this disk has never seen.
TEST_F(Scene, ComputesALostLeaseAgainInsteadOfGivingItBack) {
  const verifier::Lease one = lease();
  join({{verifier::encode(one), 2, false}});
  EXPECT_EQ(given_back(), 0U);
  EXPECT_EQ(posted<RunShare>(), 1U);
  device(computed(one, 0));
  device(computed(one, 1));
  EXPECT_EQ(sent<pool::ShareMessage>(), 0U) << "the pool has them";
  device(computed(one, 2));
  EXPECT_EQ(sent<pool::ShareMessage>(), 1U);
}

TEST_F(Scene, ALeaseWithSharesThatIsNotForUsEndsByItsDeadline) {
  verifier::Lease other = lease();
  other.steps += 1;
  verifier::sign(other, pool_);
  join({{verifier::encode(other), 1, false}});
  wait(60'000);
  EXPECT_EQ(given_back(), 0U);
  EXPECT_EQ(told("lease_left", Level::error), 1U);
}

TEST_F(Scene, ACleanStopGivesTheLeaseBackAndAsksForItsPay) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  accept(one, 0);
  ask_to_stop(state_, "stopped by its owner", now_);
  go_on();
  EXPECT_EQ(given_back(), 1U);
  EXPECT_EQ(sent<pool::Settle>(), 1U);
  EXPECT_FALSE(state_.ended) << "the lease's receipts lack its end";
  close_lease(one, secret_, verifier::CloseReason::abandoned);
  EXPECT_EQ(told("lease_abandoned", Level::warning) + told("lease_closed", Level::warning), 0U);
  EXPECT_TRUE(state_.ended);
  EXPECT_EQ(state_.ending.code, ExitCode::ok);
}

TEST_F(Scene, ACleanStopWaitsForWhatIsComputedAndASecondOneDoesNot) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  for (uint32_t index = 0; index < one.shares(); ++index)
    device(computed(one, index));
  ask_to_stop(state_, "stopped by its owner", now_);
  wait(kStopMs - 1);
  EXPECT_FALSE(state_.ended);
  EXPECT_EQ(given_back(), 0U);
  State again = State(state_.key, state_.options, state_.checkpoint);
  ask_to_stop(again, "", now_);
  ask_to_stop(again, "", now_);
  EXPECT_TRUE(again.ended);
  for (uint32_t index = 0; index < one.shares(); ++index)
    accept(one, index);
  EXPECT_FALSE(state_.ended) << "the delta is not there";
  close_lease(one);
  EXPECT_FALSE(state_.ended) << "what it asked for may be on its way";
  pool_says(pool::MessageType::no_lease, pool::NoLease{50, "none"});
  EXPECT_TRUE(state_.ended);
}

// The pool's answer and the owner's word cross: nobody else gets the slot unless it is given back.
TEST_F(Scene, ACleanStopGivesBackALeaseThatWasOnItsWay) {
  join();
  EXPECT_EQ(sent<pool::GetLease>(), 1U);
  ask_to_stop(state_, "stopped by its owner", now_);
  go_on();
  EXPECT_FALSE(state_.ended);
  const verifier::Lease late = lease();
  grant(late);
  EXPECT_EQ(given_back(), 1U);
  close_lease(late);
  EXPECT_TRUE(state_.ended);
}

TEST_F(Scene, AStopDoesNotWaitForEver) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  for (uint32_t index = 0; index < one.shares(); ++index)
    device(computed(one, index));
  ask_to_stop(state_, "stopped by its owner", now_);
  wait(kStopMs - 1);
  EXPECT_FALSE(state_.ended);
  wait(1);
  EXPECT_TRUE(state_.ended);
}

TEST_F(Scene, KeepsOnlyBlobsThatSomethingNeeds) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  const auto needs = [&](const Digest& address) {
    const std::vector<Digest> all = needed_blobs(state_);
    return std::find(all.begin(), all.end(), address) != all.end();
  };
  EXPECT_TRUE(needs(toy_.job.train_address));
  EXPECT_TRUE(needs(theta_address()));
  Digest next = theta_address();
  next.bytes[0] ^= 1;
  pool_says(pool::MessageType::round, pool::Round{job_id_, 1, next, false});
  EXPECT_TRUE(needs(theta_address())) << "a lease is still open";
  close_lease(one);
  EXPECT_FALSE(needs(theta_address()));
  EXPECT_TRUE(needs(next));
  EXPECT_EQ(all<Prune>().back().outdated, std::vector<Digest>{theta_address()});
}

}  // namespace
}  // namespace gemmine::miner
