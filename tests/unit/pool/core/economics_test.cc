#include "pool/core/economics.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

constexpr PayTerms kLarge{.batch = 50,
                          .first_batch = 10,
                          .threads = 2,
                          .replays = 0.75,
                          .fine = 0.75,
                          .first_audits = 1,
                          .now = 0.02};

// A batch as it is settled, ticket by ticket; `quiet`: every ticket is left unanswered as soon as
// one is bad.
double settled(const PayTerms& terms, uint32_t leases, uint32_t stolen, double p, bool quiet,
               std::mt19937_64& random) {
  const auto coin = [&](double chance) {
    return std::uniform_real_distribution<double>(0, 1)(random) < chance;
  };
  const auto draw = [&](uint32_t tickets) {
    std::vector<uint32_t> order(leases);
    for (uint32_t i = 0; i < leases; ++i)
      order[i] = i;
    std::ranges::shuffle(order, random);
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < tickets; ++i)
      out.push_back(order[i % leases]);
    return out;
  };
  const std::vector<uint32_t> threads = draw(terms.threads);
  const double whole = std::floor(terms.replays);
  const auto replays = static_cast<uint32_t>(whole) + (coin(terms.replays - whole) ? 1U : 0U);
  size_t failed = 0;
  for (const uint32_t at : draw(std::min(replays, leases))) {
    failed += at < stolen ? 1 : 0;
  }
  const bool silent =
      quiet && std::ranges::any_of(threads, [&](uint32_t at) { return at < stolen; });
  if (silent) {
    failed += threads[random() % threads.size()] < stolen ? 1 : 0;
    return failed == 0 ? leases : 0;
  }
  for (const uint32_t at : threads) {
    failed += at < stolen && coin(p) ? 1 : 0;
  }
  if (failed == 0) return leases;
  const double lost = std::max(1.0, std::ceil(terms.fine * leases - 1e-9));
  return failed == 1 ? leases - lost : 0;
}

// The formula is at least what each of the two ways to play brings, and one of them in fact.
TEST(BatchPay, IsWhatTheBestWayToPlayBrings) {
  std::mt19937_64 random(11);
  constexpr int kDraws = 40'000;
  const PayTerms replayed{.batch = 8, .first_batch = 8, .replays = 2, .fine = 0.5};
  const PayTerms round{.batch = 3, .first_batch = 3, .threads = 4, .replays = 0.5};
  for (const auto& [terms, leases, stolen, p] :
       {std::tuple{kLarge, 50U, 1U, 1.0}, std::tuple{kLarge, 50U, 5U, 1.0},
        std::tuple{kLarge, 50U, 50U, 0.11}, std::tuple{kLarge, 20U, 3U, 0.5},
        std::tuple{replayed, 8U, 1U, 0.0}, std::tuple{replayed, 8U, 3U, 0.0},
        std::tuple{round, 3U, 1U, 0.3}, std::tuple{round, 3U, 2U, 0.0},
        std::tuple{round, 1U, 1U, 0.4}}) {
    double best = 0;
    for (const bool quiet : {false, true}) {
      double sum = 0;
      double squares = 0;
      for (int i = 0; i < kDraws; ++i) {
        const double pay = settled(terms, leases, stolen, p, quiet, random);
        sum += pay;
        squares += pay * pay;
      }
      const double mean = sum / kDraws;
      const double error = std::sqrt((squares / kDraws - mean * mean) / kDraws) + 1e-6;
      EXPECT_LT(mean, batch_pay(terms, leases, stolen, p) + 4 * error);
      best = std::max(best, mean + 4 * error);
    }
    EXPECT_GT(best, batch_pay(terms, leases, stolen, p)) << leases << " " << stolen << " " << p;
  }
}

// economics.md §2: with one sure ticket a batch pays exactly its honest leases.
TEST(BatchPay, IsTheHonestLeasesWithOneTicket) {
  const PayTerms one{.batch = 50, .first_batch = 50, .threads = 1};
  for (uint32_t stolen = 0; stolen <= 50; ++stolen)
    EXPECT_NEAR(batch_pay(one, 50, stolen, 1), 50 - stolen, 1e-9);
  EXPECT_EQ(batch_pay(one, 0, 0, 1), 0);
}

TEST(BestTheft, IsNothingWithTheTermsOfALargeJob) {
  const BestTheft best = best_theft(kLarge, 10'000);
  EXPECT_EQ(best.gain, 0);
  EXPECT_LE(best.batch.gain, 1e-9);
  // One ghost in a full batch loses more than it gains.
  EXPECT_NEAR(50 - batch_pay(kLarge, 50, 1, 1) - 1, 0.73, 0.4);
}

// §2: without replays, a theft that threads see badly pays some forty leases in a hundred.
TEST(BestTheft, IsNamedWithTheReplaysThatEndIt) {
  PayTerms terms{.batch = 50, .first_batch = 50, .threads = 2};
  const BestTheft best = best_theft(terms, 100);
  EXPECT_GT(best.gain, 30);
  EXPECT_GT(best.batch.stolen, 40U);
  const auto least = least_replays(terms);
  ASSERT_TRUE(least);
  EXPECT_NEAR(*least, 0.51, 0.02);
  terms.replays = *least;
  EXPECT_EQ(best_theft(terms, 100).gain, 0);
  terms.replays = *least - 0.01;
  EXPECT_GT(best_theft(terms, 100).gain, 0);
}

// §6: if a failed ticket costs only its lease, theft pays, however much is replayed.
TEST(BestTheft, PaysWhereTheFineIsTooSmall) {
  PayTerms terms = kLarge;
  terms.fine = 0;  // only the lease itself
  EXPECT_GT(best_theft(terms, 50).gain, 1);
  EXPECT_FALSE(least_replays(terms));
}

TEST(AuditCost, IsThePagesForItsJobs) {
  PayTerms large = kLarge;
  large.first_batch = 50;
  Crowd crowd{.leases = 10'000, .miners = 100, .auditors = 4, .lease_s = 1200};
  crowd.thread_cost = 1.0 / 42'000;
  EXPECT_NEAR(audit_cost(large, crowd).pool, 0.015, 0.0001);
  EXPECT_NEAR(audit_cost(large, crowd).miner, 0.0698, 0.0005);
  EXPECT_NEAR(pay_times(large, crowd).mean, 500 * 60, 1);
  EXPECT_NEAR(pay_times(large, crowd).last, 375 * 60, 60);
  // Who falls silent waits for the end of its time, and for a replay; so does who stops.
  crowd.answer_s = 3'600;
  crowd.idle_s = 12'000;
  EXPECT_NEAR(pay_times(large, crowd).longest, 1'000 * 60 + 3'600 + 1.75 * 1'200, 1);
  EXPECT_NEAR(pay_times(large, crowd).idle, 12'000 + 3'600 + 1.75 * 1'200, 1);
  crowd.silent_part = 0.05;
  EXPECT_NEAR(audit_cost(large, crowd).pool, 0.0184, 0.0002);
  EXPECT_NEAR(audit_cost(kLarge, crowd).pool, 0.0225 * 1.22, 0.001);

  const PayTerms small{.batch = 8, .first_batch = 8, .replays = 2, .fine = 0.5};
  EXPECT_NEAR(audit_cost(small, {.leases = 32, .miners = 4}).pool, 0.25, 1e-9);
  EXPECT_EQ(audit_cost(small, {.leases = 32, .miners = 4}).miner, 0);
}

TEST(AuditCost, PutsReplacedThreadsOnThePool) {
  const PayTerms terms{.batch = 20,
                       .first_batch = 20,
                       .threads = 1,
                       .threads_replayed = true,
                       .replays = 1,
                       .first_audits = 1};
  const AuditCost cost = audit_cost(terms, {.leases = 80, .miners = 4});
  EXPECT_NEAR(cost.pool, 3.0 / 20, 1e-9);
  EXPECT_EQ(cost.miner, 0);
}

TEST(Sabotage, EndsWithTheFirstBatch) {
  PayTerms terms = kLarge;
  EXPECT_NEAR(sabotage_leases(terms), (1 - std::pow(0.98, 9)) / 0.02, 1e-9);
  terms.now = 0;
  EXPECT_EQ(sabotage_leases(terms), 9);
}

}  // namespace
}  // namespace gemmine::pool
