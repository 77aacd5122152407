#include "pool/core/answer_time.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

verifier::Work work_with(const std::function<void(verifier::Job&)>& change) {
  verifier::Job job = toy_job(Bytes(100));
  job.audit.lease_ms = 1'000'000;
  change(job);
  return verifier::Work::make(job).value();
}
verifier::Work plain() {
  return work_with([](verifier::Job&) {});
}

TEST(AnswerTime, IsGraceAndLineForWhoIsNotKnown) {
  const verifier::Work work = plain();
  EXPECT_EQ(answer_time_ms(work, {}, 1'000, 1), 1'000 + opening_line_ms(work));
}

// The rest of the share at hand, the share again for its roots, and the walk; twice that.
TEST(AnswerTime, GrowsWithTheDevicesOwnPace) {
  const verifier::Work work = plain();
  const uint64_t base = answer_time_ms(work, {}, 1'000, 1);
  const std::deque<Pace> slow = {{.ms = 24'000, .macs = 1'000}};
  EXPECT_EQ(answer_time_ms(work, slow, 1'000, 1), base + 2 * 3 * 24'000);
  EXPECT_EQ(answer_time_ms(work, slow, 500, 1), base + 2 * 3 * 12'000);
  // Others of the same key wait before it.
  EXPECT_EQ(answer_time_ms(work, slow, 1'000, 2), base + 2 * 5 * 24'000);
}

TEST(AnswerTime, TrustsTheSlowestOfTheLastPaces) {
  const verifier::Work work = plain();
  std::deque<Pace> paces(kPacesMax - 1, Pace{.ms = 10, .macs = 1'000});
  const uint64_t quick = answer_time_ms(work, paces, 1'000, 1);
  paces.push_back({.ms = 10'000, .macs = 1'000});  // it was throttled a moment ago
  EXPECT_EQ(answer_time_ms(work, paces, 1'000, 1), quick - 60 + 60'000);
}

TEST(AnswerTime, EndsWithWhatALeaseHas) {
  const verifier::Work work = plain();
  EXPECT_EQ(answer_time_ms(work, {{.ms = 1'000'000, .macs = 1}}, 1'000'000, 1), 1'000'000U);
  const verifier::Work patient =
      work_with([](verifier::Job& job) { job.audit.answer_ms = 2'000'000; });
  EXPECT_EQ(answer_time_ms(patient, {{.ms = 1'000'000, .macs = 1}}, 1'000'000, 1), 2'000'000U);
}

TEST(AnswerTime, LeavesAWideModelMoreTimeForItsLine) {
  const verifier::Work wide = work_with([](verifier::Job& job) {
    job.spec.widths = {4, 8'000, 3};
  });
  EXPECT_GT(opening_line_ms(wide), 4 * opening_line_ms(plain()));
  EXPECT_LE(opening_line_ms(wide), (uint64_t{1} << 21) / kSlowLineBytesPerMs);
}

// Four shares a lease and the honest path of an answer fit into lease_ms, whatever the pool would
// like.
TEST(ShareTarget, FitsTheLease) {
  verifier::Job job = toy_job(Bytes(100));
  job.spec.steps_per_lease = 100;
  job.steps_per_share = 10;  // a lease has four shares at least
  job.audit.lease_ms = 40'000;
  EXPECT_EQ(share_target_ms(job, 20'000), 10'000U);
  EXPECT_EQ(share_target_ms(job, 5'000), 5'000U);
  EXPECT_EQ(share_target_ms(job, 0), 0U);
  job.steps_per_share = 100;  // or one
  EXPECT_EQ(share_target_ms(job, 20'000), 40'000U / 3);
}

}  // namespace
}  // namespace gemmine::pool
