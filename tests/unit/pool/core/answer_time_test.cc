#include "pool/core/answer_time.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

verifier::Job job() {
  verifier::Job out = toy_job(Bytes(100));
  out.audit.lease_ms = 1'000'000;
  out.audit.answer_ms = 1'000;
  return out;
}
constexpr Question kQuestion{.share_macs = 1'000, .lease_macs = 4'000, .answer_bytes = 6'400};

TEST(AnswerTime, IsGraceAndLineForWhoIsNotKnown) {
  EXPECT_EQ(answer_time_ms(job(), {}, kQuestion), 1'000 + line_ms(6'400));
}

// The share at hand, and the lease again; twice that.
TEST(AnswerTime, GrowsWithTheDevicesOwnPace) {
  const uint64_t base = answer_time_ms(job(), {}, kQuestion);
  const std::deque<Pace> slow = {{.ms = 24'000, .macs = 1'000}};
  EXPECT_EQ(answer_time_ms(job(), slow, kQuestion), base + 2 * 5 * 24'000);
  // Others of the same key wait before it.
  Question second = kQuestion;
  second.waiting = 2;
  EXPECT_EQ(answer_time_ms(job(), slow, second), base + line_ms(6'400) + 2 * 9 * 24'000);
}

TEST(AnswerTime, TrustsTheSlowestOfTheLastPaces) {
  std::deque<Pace> paces(kPacesMax - 1, Pace{.ms = 10, .macs = 1'000});
  const uint64_t quick = answer_time_ms(job(), paces, kQuestion);
  paces.push_back({.ms = 10'000, .macs = 1'000});  // it was throttled a moment ago
  EXPECT_EQ(answer_time_ms(job(), paces, kQuestion), quick - 100 + 100'000);
}

// Who needs longer cannot end a lease in lease_ms either.
TEST(AnswerTime, IsBoundedByTheSlowestLease) {
  const std::deque<Pace> asleep = {{.ms = 1'000'000'000, .macs = 1}};
  EXPECT_EQ(answer_time_ms(job(), asleep, kQuestion),
            1'000 + line_ms(6'400) + 2 * (1'000'000 + 250'000));
}

TEST(AnswerTime, LeavesALargeAnswerTimeForItsLine) {
  Question large = kQuestion;
  large.answer_bytes = 64'000'000;
  EXPECT_GT(answer_time_ms(job(), {}, large), 1'000'000U);
}

TEST(LeaseTime, IsEnoughForADeviceAtThePoolsOwnShareSize) {
  verifier::Job slow = job();
  slow.spec.steps_per_lease = 200;
  slow.steps_per_share = 25;  // eight shares of 20 s, and half as much again
  slow.audit.lease_ms = 240'000;
  EXPECT_TRUE(check_lease_time(slow, 20'000));
  EXPECT_TRUE(check_lease_time(slow, 0));
  slow.audit.lease_ms = 239'999;
  const Status refused = check_lease_time(slow, 20'000);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("at least 240000"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
