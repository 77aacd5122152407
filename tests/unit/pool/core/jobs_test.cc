// Jobs, their escrows, and files that differ from a known job only in its terms.
#include "pool/core/jobs.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::RecordKind;

int64_t escrow(const FakePool& fake) {
  const auto& accounts = fake.pool->ledger().accounts();
  const auto found = accounts.find("escrow:" + to_hex(fake.job_id().bytes));
  return found == accounts.end() ? 0 : found->second;
}

FakeSetup funded(uint64_t fund) {
  return {.change = [](verifier::Job&) {}, .auditors = {}, .fund = fund};
}

// A10: a later --fund is not ignored, and the same one again adds nothing.
TEST(Escrows, AreFilledUpToWhatIsAsked) {
  FakePool fake(funded(0));
  EXPECT_EQ(fake.count(RecordKind::fund), 0U);
  for (const uint64_t fund : {5'000, 5'000, 3'000, 8'000, 0}) {
    fake.setup.fund = fund;
    fake.start(std::vector(fake.durable));
  }
  EXPECT_EQ(escrow(fake), 8'000);
  EXPECT_EQ(fake.count(RecordKind::fund), 2U);
}

TEST(Escrows, OfFinishedJobsTakeNothing) {
  FakePool fake;
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  while (fake.do_lease(kMiner, miner())) {
  }
  ASSERT_TRUE(fake.job_state().finished);
  const size_t records = fake.durable.size();
  fake.start(std::vector(fake.durable));
  EXPECT_EQ(fake.durable.size(), records);
}

TEST(Escrows, SayHowFarTheyReach) {
  FakePool fake;
  const uint64_t price = fake.job_state().gross_per_lease;
  fake.setup.fund = 3 * price - 1;
  fake.start({});
  EscrowReach reach = escrow_reach(fake.pool->ledger(), fake.job_id());
  EXPECT_EQ(reach.leases_left, 4U);
  EXPECT_EQ(reach.leases_covered, 2U);
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_TRUE(fake.get_lease(kMiner));
  reach = escrow_reach(fake.pool->ledger(), fake.job_id());
  EXPECT_EQ(reach.leases_left, 3U);
  EXPECT_EQ(reach.leases_covered, 1U);
}

// A12: another price is another job, and nobody would see it.
TEST(Twins, AreRefusedWithBothIds) {
  FakePool fake;
  verifier::Job job = fake.job();
  job.price_per_tmac -= 1;
  job.audit.answer_ms += 500;
  const auto twin = verifier::Work::make(job).value();
  const size_t records = fake.pool->ledger().next_seq();
  const Status added = fake.add_beside(twin, 1'000);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::invalid_argument);
  const std::string& text = added.error().detail;
  EXPECT_NE(text.find(to_hex(fake.job_id().bytes)), std::string::npos) << text;
  EXPECT_NE(text.find(to_hex(twin.id().bytes)), std::string::npos) << text;
  EXPECT_NE(text.find("price_per_tmac"), std::string::npos) << text;
  EXPECT_NE(text.find("answer_ms 1000 -> 1500"), std::string::npos) << text;
  EXPECT_EQ(fake.pool->ledger().next_seq(), records);
}

TEST(Twins, AreNotJobsOfAnotherNameOrOtherWork) {
  FakePool fake;
  verifier::Job job = fake.job();
  job.price_per_tmac -= 1;
  job.name = "dearer";
  EXPECT_TRUE(fake.add_beside(verifier::Work::make(job).value(), 0).ok());
  job = fake.job();
  job.spec.lr *= 2;
  EXPECT_TRUE(fake.add_beside(verifier::Work::make(job).value(), 0).ok());
}

}  // namespace
}  // namespace gemmine::pool
