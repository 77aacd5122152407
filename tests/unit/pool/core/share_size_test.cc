#include "pool/core/share_size.h"

#include <gtest/gtest.h>

#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kMacsPerStep = 1'000'000;
constexpr uint64_t kTargetMs = 20'000;
constexpr uint32_t kJobSize = 5;

std::deque<Pace> paces(std::initializer_list<uint64_t> ms_per_step, uint32_t steps = kJobSize) {
  std::deque<Pace> out;
  for (const uint64_t ms : ms_per_step)
    keep_pace(out, {ms * steps, kMacsPerStep * steps});
  return out;
}
uint32_t size(const std::deque<Pace>& of, uint32_t steps = 1000) {
  const uint32_t out = choose_share_size(of, kTargetMs, steps, kMacsPerStep, kJobSize);
  EXPECT_TRUE(verifier::share_size_ok(steps, out)) << steps << " " << out;
  return out;
}

TEST(ShareSize, IsTheJobsForANewKeyAndWhereItDoesNotAdapt) {
  EXPECT_EQ(size({}), kJobSize);
  EXPECT_EQ(choose_share_size(paces({100, 100}), 0, 1000, kMacsPerStep, kJobSize), kJobSize);
}

TEST(ShareSize, TakesEveryDeviceAboutAsLong) {
  EXPECT_EQ(size(paces({100})), 200U);
  EXPECT_EQ(size(paces({1000, 1000, 1000})), 20U);
  EXPECT_EQ(size(paces({4000, 4000, 4000})), 5U);
}

TEST(ShareSize, CountsWorkAndNotSteps) {
  // The same device at a job of steps twice as large.
  EXPECT_EQ(choose_share_size(paces({100}), kTargetMs, 1000, 2 * kMacsPerStep, kJobSize), 100U);
}

TEST(ShareSize, StaysWithinALease) {
  EXPECT_EQ(size(paces({1})), 250U);        // fast: as few shares as a lease may have
  EXPECT_EQ(size(paces({0, 0, 0})), 250U);  // faster than the clock ticks
  EXPECT_EQ(size(paces({1}), 6), 5U);       // the job's own are larger than a quarter
  EXPECT_EQ(size(paces({1}), 4), 4U);
  EXPECT_EQ(size(paces({60'000})), 1U);  // slow: a step
  EXPECT_EQ(size(paces({60'000}), 1), 1U);
  // No more shares than a lease may have.
  EXPECT_EQ(size(paces({60'000}), 4096), 1U);
  EXPECT_EQ(size(paces({60'000}), 4097), 2U);
  EXPECT_EQ(size(paces({60'000}), 65'536), 16U);
}

// Larger ones of a quick device at a job of tiny steps would be dropped by its own pool.
TEST(ShareSize, HasNoMoreStepsThanAMessageCarries) {
  EXPECT_EQ(size(paces({0}), 4 * kStepsPerShareMax), kStepsPerShareMax);
  EXPECT_EQ(size(paces({0}), 40 * kStepsPerShareMax), kStepsPerShareMax);
}

TEST(ShareSize, IsNotMovedByAJumpOfTheClockOrAPause) {
  EXPECT_EQ(size(paces({100, 100, 100, 86'400'000, 100})), 200U);
  EXPECT_EQ(size(paces({100, 0, 100, 100, 0})), 200U);
  // Jitter of a factor of 2 stays within it.
  const uint32_t jittery = size(paces({50, 200, 90, 120, 70, 150, 100}));
  EXPECT_EQ(jittery, 200U);
}

TEST(ShareSize, ForgetsWhatADeviceWas) {
  std::deque<Pace> of = paces({100, 100, 100, 100, 100, 100, 100, 100, 100});
  for (size_t i = 0; i < kPacesMax; ++i)
    keep_pace(of, {1000, kMacsPerStep});
  EXPECT_EQ(of.size(), kPacesMax);
  EXPECT_EQ(size(of), 20U);
}

TEST(ShareSize, MeasuresFromTheRecordBefore) {
  verifier::LeaseState lease;
  lease.lease.issued_ms = 1000;
  lease.shares.resize(3);
  lease.shares[0].time_ms = 1500;
  lease.shares[1].time_ms = 1700;
  lease.shares[2].time_ms = 1600;  // no ledger says so; nothing below zero comes of it
  EXPECT_EQ(pace_of(lease, 0).ms, 500U);
  EXPECT_EQ(pace_of(lease, 1).ms, 200U);
  EXPECT_EQ(pace_of(lease, 2).ms, 0U);
}

}  // namespace
}  // namespace gemmine::pool
