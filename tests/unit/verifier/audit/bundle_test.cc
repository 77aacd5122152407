// A share on its own: what can be told from one file, with the toy job of the golden files.
#include "verifier/audit/bundle.h"

#include <gtest/gtest.h>

#include "tests/support/toy_bundle.h"
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using gemmine::test::golden_bundle;
using gemmine::test::Toy;
using test::filled;

Outcome outcome_of(const Bundle& bundle, const std::string& check) {
  for (const BundleFinding& item : check_bundle(bundle)) {
    if (item.check == check) return item.finding.outcome;
  }
  ADD_FAILURE() << "nothing about " << check;
  return Outcome::undecided;
}

TEST(BundleCodec, RoundTripsWithAndWithoutTheOptionalParts) {
  Bundle bundle = golden_bundle(Toy("job_sgd"), 0);
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
  Bundle bundle = golden_bundle(Toy("job_sgd"), 0);
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
  const Bundle good = golden_bundle(Toy("job_sgd"), 0);
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
  Bundle bundle = golden_bundle(Toy("job_sgd"), 0);
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

}  // namespace
}  // namespace gemmine::verifier
