// A share on its own: what can be told from one file, with the toy job of the golden files.
#include "verifier/audit/bundle.h"

#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"
#include "tests/unit/verifier/ledger/ledger_world.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {
namespace {

using gemmine::test::Toy;
using test::filled;

// Share 0 of lease (0, 0), as the golden file has it.
Bundle golden_bundle(const Toy& toy) {
  Bundle out{.work = toy.work,
             .lease = {},
             .share = {},
             .theta = {},
             .seed = {},
             .openings = {},
             .verdicts = {}};
  out.lease = toy.lease(0, 0);
  out.share = decode_share(toy.golden.bytes("share 0 0 0")).value();
  const ByteView theta = as_bytes(std::span<const float>(toy.thetas[0]));
  out.theta.assign(theta.begin(), theta.end());
  return out;
}

Outcome outcome_of(const Bundle& bundle, const std::string& check) {
  for (const BundleFinding& item : check_bundle(bundle)) {
    if (item.check == check) return item.finding.outcome;
  }
  ADD_FAILURE() << "nothing about " << check;
  return Outcome::undecided;
}

TEST(BundleCodec, RoundTripsWithAndWithoutTheOptionalParts) {
  Bundle bundle = golden_bundle(Toy("job_sgd"));
  Bytes bytes = encode_bundle(bundle);
  EXPECT_EQ(encode_bundle(decode_bundle(bytes).value()), bytes);
  bundle.theta.clear();
  bundle.seed = filled(7);
  bundle.openings = {Bytes(3), Bytes(0), Bytes(5)};
  Verdict verdict;
  verdict.share_id = share_id(bundle.share);
  sign(verdict, test::identity(1));
  bundle.verdicts = {verdict, verdict};
  bytes = encode_bundle(bundle);
  EXPECT_EQ(encode_bundle(decode_bundle(bytes).value()), bytes);
}

TEST(BundleCodec, RefusesEveryTruncationAndTrailingBytes) {
  Bundle bundle = golden_bundle(Toy("job_sgd"));
  bundle.theta.resize(8);
  bundle.seed = filled(7);
  bundle.openings = {Bytes(3)};
  Bytes bytes = encode_bundle(bundle);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_bundle(ByteView(bytes).first(size));
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, Errc::malformed) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_bundle(bytes).ok());
}

TEST(Bundle, AcceptsTheGoldenShareAndSaysWhatIsWrongWithOthers) {
  const Bundle good = golden_bundle(Toy("job_sgd"));
  for (const BundleFinding& item : check_bundle(good))
    EXPECT_EQ(item.finding.outcome, Outcome::valid) << item.check << ": " << item.finding.detail;

  Bundle other = good;
  other.lease.job_id = filled(1);
  EXPECT_EQ(outcome_of(other, "lease is of the job"), Outcome::invalid);
  other = good;
  other.lease.signature[0] ^= 1;
  EXPECT_EQ(outcome_of(other, "lease is signed by the pool"), Outcome::invalid);
  other = good;
  other.share.loss = 9;
  EXPECT_EQ(outcome_of(other, "share is admissible"), Outcome::invalid);
  other = good;
  other.theta[5] ^= 1;
  EXPECT_EQ(outcome_of(other, "theta"), Outcome::invalid);
  other = good;
  other.openings = {Bytes(3)};
  EXPECT_EQ(outcome_of(other, "openings"), Outcome::undecided);
  other.seed = filled(7);
  EXPECT_EQ(outcome_of(other, "openings"), Outcome::invalid);
  other.openings.resize(4);
  EXPECT_EQ(outcome_of(other, "opening 0"), Outcome::malformed);
}

TEST(Bundle, BelievesAVerdictOnlyWithItsSignatureAndRepeatsWhatItSays) {
  Bundle bundle = golden_bundle(Toy("job_sgd"));
  Verdict verdict;
  verdict.share_id = share_id(bundle.share);
  verdict.outcome = Outcome::invalid;
  sign(verdict, test::identity(1));
  bundle.verdicts = {verdict};
  EXPECT_EQ(outcome_of(bundle, "verdict 0"), Outcome::valid);
  EXPECT_EQ(outcome_of(bundle, "verdict 0 says"), Outcome::invalid);
  bundle.verdicts[0].outcome = Outcome::valid;
  EXPECT_EQ(outcome_of(bundle, "verdict 0"), Outcome::invalid);
}

TEST(Replay, FindsEachFieldThatDiffersAndTheStepWhereItCan) {
  const Toy toy("job_sgd");
  const auto engine = toy.engine();
  const auto runs = toy.run_lease(*engine, 0, 0, 3);
  const auto judge = [&](size_t index, auto change) {
    Share claimed = runs[index].share;
    change(claimed);
    return compare_share(claimed, runs[index]);
  };
  EXPECT_EQ(judge(0, [](Share&) {}).outcome, Outcome::valid);
  const auto refuses = [&](std::string_view words, auto change) {
    const Finding finding = judge(0, change);
    EXPECT_EQ(finding.outcome, Outcome::invalid) << words;
    EXPECT_NE(finding.detail.find(words), std::string::npos) << finding.detail;
  };
  refuses("other steps", [](Share& s) { s.steps = 1; });
  refuses("state_before", [](Share& s) { s.state_before = filled(1); });
  refuses("trace_root", [](Share& s) { s.trace_root = filled(1); });
  refuses("state_after", [](Share& s) { s.state_after = filled(1); });
  refuses("loss", [](Share& s) { s.loss = -s.loss; });
  refuses("macs", [](Share& s) { s.macs += 1; });
  refuses("delta_root", [](Share& s) { s.delta_root = filled(1); });
  // The last share of the toy has one step, so the step is known.
  EXPECT_EQ(judge(2, [](Share& s) { s.trace_root = filled(1); }).step, 4U);
  EXPECT_EQ(judge(0, [](Share& s) { s.trace_root = filled(1); }).step, kNoStep);
}

TEST(Replay, RefusesArgumentsOfOtherSizes) {
  const Toy toy("job_sgd");
  const auto engine = toy.engine();
  const std::vector<float> state = toy.start(0);
  const std::vector<float>& theta = toy.thetas[0];
  const Lease lease = toy.lease(0, 0);
  const auto code = [&](uint32_t index, std::span<const float> t, std::span<const float> s) {
    return run_share(*engine, {toy.work, lease, t}, index, s).error().code;
  };
  EXPECT_EQ(code(3, theta, state), Errc::invalid_argument);
  EXPECT_EQ(code(0, std::span(theta).subspan(1), state), Errc::invalid_argument);
  EXPECT_EQ(code(0, theta, std::span(state).subspan(1)), Errc::invalid_argument);
}

TEST(Coin, OpensOnlyWithItsSecretAndSpreadsEvenly) {
  Lease lease;
  const Digest secret = lease_secret(filled(1), 7);
  EXPECT_NE(secret, lease_secret(filled(1), 8));
  lease.coin_commit = coin_commit(secret);
  const Digest seed = challenge_seed(secret, filled(3));
  EXPECT_TRUE(challenge_is_fair(lease, filled(3), secret, seed));
  EXPECT_FALSE(challenge_is_fair(lease, filled(4), secret, seed));
  EXPECT_FALSE(challenge_is_fair(lease, filled(3), filled(1), seed));
  EXPECT_FALSE(challenge_is_fair(lease, filled(3), secret, filled(1)));
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
