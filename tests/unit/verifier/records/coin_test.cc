// The coin: bound to its secret, uniform, and as often as the policy says.
#include "verifier/records/coin.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;

std::vector<Digest> ids(uint8_t count) {
  std::vector<Digest> out;
  for (uint8_t i = 0; i < count; ++i)
    out.push_back(filled(i));
  return out;
}

TEST(Coin, OpensOnlyWithItsSecretAndSpreadsEvenly) {
  EXPECT_NE(coin_commit(filled(1)), coin_commit(filled(2)));
  const Digest seed = immediate_seed(filled(1), ids(3));
  EXPECT_NE(seed, immediate_seed(filled(1), ids(2)));
  EXPECT_NE(seed, immediate_seed(filled(2), ids(3)));
  EXPECT_NE(ticket_seed(seed, filled(1), 0), ticket_seed(seed, filled(2), 0));
  EXPECT_NE(ticket_seed(seed, filled(1), 0), ticket_seed(seed, filled(1), 1));
  // Chi-square of 7 bins, 6 degrees: above 22.46 once in a thousand; the draw is fixed.
  constexpr uint32_t kDraws = 7000;
  double bins[7] = {};
  for (uint32_t i = 0; i < kDraws; ++i)
    bins[pick(seed, i, 7)] += 1;
  double chi = 0;
  for (const double bin : bins)
    chi += (bin - 1000) * (bin - 1000) / 1000;
  EXPECT_LT(chi, 22.46);
  for (uint32_t i = 0; i < 100; ++i)
    EXPECT_EQ(pick(seed, i, 1), 0U);
}

TEST(Coin, AuditsAtOnceWhomThePolicySays) {
  const AuditPolicy policy{.first_audits = 2, .now_ppm = 200'000};
  int drawn = 0;
  for (uint32_t i = 0; i < 5000; ++i) {
    const Digest seed = kernels::blake3(Writer().put(i).bytes());
    EXPECT_TRUE(audited_at_once(policy, seed, 0));
    EXPECT_TRUE(audited_at_once(policy, seed, 1));
    drawn += audited_at_once(policy, seed, 2) ? 1 : 0;
  }
  EXPECT_NEAR(drawn, 1000, 100);
}

// How often each lease of a batch is drawn for each kind of audit.
struct Drawn {
  std::vector<uint32_t> threads, replays;
  Drawn(const AuditPolicy& policy, uint32_t leases, const Digest& seed)
      : threads(leases), replays(leases) {
    for (const Ticket& ticket : draw_tickets(policy, leases, seed))
      ++(ticket.kind == AuditKind::thread ? threads : replays).at(ticket.lease);
  }
};
uint32_t sum(const std::vector<uint32_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0U);
}

TEST(Coin, DrawsThreadsWithoutReplacementAndGoesRound) {
  const AuditPolicy policy{.threads = 7, .replays_ppm = 0};
  for (uint8_t i = 0; i < 200; ++i) {
    const Drawn many(policy, 20, filled(i));
    EXPECT_EQ(sum(many.threads), 7U);
    EXPECT_LE(std::ranges::max(many.threads), 1U);
    const Drawn few(policy, 3, filled(i));
    EXPECT_EQ(sum(few.threads), 7U);
    EXPECT_EQ(std::ranges::min(few.threads), 2U) << "each twice, and one once more";
    EXPECT_EQ(std::ranges::max(few.threads), 3U);
  }
}

TEST(Coin, DrawsReplaysByTheirWholeAndTheirFraction) {
  const AuditPolicy policy{.threads = 0, .replays_ppm = 2'250'000};
  uint32_t drawn = 0;
  std::vector<uint32_t> where(10);
  for (uint32_t i = 0; i < 4000; ++i) {
    const Digest seed = kernels::blake3(Writer().put(i).bytes());
    const Drawn batch(policy, 10, seed);
    const uint32_t count = sum(batch.replays);
    EXPECT_TRUE(count == 2 || count == 3);
    EXPECT_LE(std::ranges::max(batch.replays), 1U);
    drawn += count;
    for (size_t lease = 0; lease < where.size(); ++lease)
      where[lease] += batch.replays[lease];
    EXPECT_EQ(sum(Drawn(policy, 1, seed).replays), 1U) << "no lease is replayed twice";
  }
  EXPECT_NEAR(drawn, 9000, 130);
  for (const uint32_t count : where)
    EXPECT_NEAR(count, 900, 130);
}

TEST(Coin, DrawsOneOfTheSilentTicketsByAFreshSecret) {
  std::vector<uint32_t> where(4);
  for (uint32_t i = 0; i < 4000; ++i)
    ++where.at(silent_ticket(kernels::blake3(Writer().put(i).bytes()), filled(1), 4));
  for (const uint32_t count : where)
    EXPECT_NEAR(count, 1000, 130);
}

TEST(Coin, FinesAtLeastTheLeaseThatFailed) {
  const AuditPolicy policy{.fail_ppm = 750'000};
  EXPECT_EQ(fine_of(policy, 50), 38U);
  EXPECT_EQ(fine_of(policy, 4), 3U);
  EXPECT_EQ(fine_of(policy, 1), 1U);
  EXPECT_EQ(fine_of({.fail_ppm = 0}, 50), 1U);
  EXPECT_EQ(fine_of({.fail_ppm = 1'000'000}, 50), 50U);
}

}  // namespace
}  // namespace gemmine::verifier
