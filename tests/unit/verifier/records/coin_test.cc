// The coin: bound to its secret, uniform, and as often as the policy says.
#include "verifier/records/coin.h"

#include <gtest/gtest.h>

#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;

TEST(Coin, OpensOnlyWithItsSecretAndSpreadsEvenly) {
  const Digest secret = lease_secret(filled(1), 7);
  EXPECT_NE(secret, lease_secret(filled(1), 8));
  EXPECT_NE(secret, lease_secret(filled(2), 7));
  EXPECT_NE(coin_commit(secret), coin_commit(filled(1)));
  const Digest seed = challenge_seed(secret, filled(3));
  EXPECT_NE(seed, challenge_seed(secret, filled(4)));
  EXPECT_NE(seed, challenge_seed(filled(1), filled(3)));
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

TEST(Coin, AuditsAsOftenAsThePolicySays) {
  const AuditPolicy policy{.replay_ppm = 200'000, .spot_ppm = 500'000, .probation_shares = 3};
  int kinds[3] = {};
  for (uint32_t i = 0; i < 5000; ++i) {
    const Digest seed = lease_secret(filled(2), i);
    EXPECT_EQ(audit_kind(policy, seed, 2), AuditKind::replay);
    ++kinds[static_cast<int>(audit_kind(policy, seed, 3))];
  }
  EXPECT_NEAR(kinds[static_cast<int>(AuditKind::replay)], 1000, 100);
  EXPECT_NEAR(kinds[static_cast<int>(AuditKind::spot)], 2000, 120);
}

}  // namespace
}  // namespace gemmine::verifier
