// The body of every kind of record: encoded and decoded by one description.
#include <gtest/gtest.h>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {
namespace {

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

// What decodes is what was encoded, and nothing shorter or longer decodes.
template <class Body>
Body decoded(const Bytes& bytes) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode<Body>(ByteView(bytes).first(size));
    EXPECT_TRUE(!cut.ok() && cut.error().code == Errc::malformed) << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode<Body>(longer).ok());
  auto out = decode<Body>(bytes);
  EXPECT_TRUE(out.ok()) << (out ? "" : out.error().detail);
  EXPECT_EQ(gemmine::encode(out.value()), bytes);
  return out.value();
}

TEST(Bodies, RoundTripAndRefuseEveryOtherLength) {
  EXPECT_EQ(decoded<GenesisBody>(genesis_body(filled(1), "house")).fee_account, "house");
  EXPECT_EQ(decoded<JobBody>(job_body(Bytes{1, 2}, filled(1))).job, (Bytes{1, 2}));
  EXPECT_EQ(decoded<FundBody>(fund_body(filled(1), 99)).amount, 99U);
  EXPECT_EQ(decoded<MemberBody>(gemmine::encode(MemberBody{filled(1), "alice", 2, {}})).account,
            "alice");
  EXPECT_EQ(decoded<DeltaBody>(delta_body(filled(1), filled(2))).delta_root, filled(2));
  EXPECT_EQ(decoded<CloseBody>(close_body(filled(1), CloseReason::expired, filled(2))).reason,
            CloseReason::expired);
  EXPECT_EQ(decoded<BanBody>(ban_body(filled(1), filled(2))).lease_id, filled(2));
  EXPECT_EQ(
      decoded<MergeBody>(merge_body(filled(1), 3, filled(2), {filled(3), filled(4)})).lease_ids,
      (std::vector{filled(3), filled(4)}));
  EXPECT_EQ(decoded<RollbackBody>(rollback_body(filled(1), 3, filled(2))).round, 3U);
  EXPECT_EQ(decoded<FinishBody>(finish_body(filled(1), filled(2))).theta_root, filled(2));
  const Record record{7, 8, RecordKind::fund, Bytes{1, 2, 3}};
  EXPECT_EQ(decoded<Record>(encode(record)).body, record.body);
}

TEST(Bodies, RefuseWhatIsOutOfBounds) {
  EXPECT_FALSE(decode<CloseBody>(close_body(filled(1), CloseReason{0}, filled(2))).ok());
  EXPECT_FALSE(decode<CloseBody>(close_body(filled(1), CloseReason{6}, filled(2))).ok());
  EXPECT_FALSE(
      decode<MemberBody>(gemmine::encode(MemberBody{filled(1), std::string(65, 'a'), 2, {}})).ok());
  EXPECT_FALSE(
      decode<MemberBody>(gemmine::encode(MemberBody{filled(1), "two\nlines", 2, {}})).ok());
  EXPECT_FALSE(decode<JobBody>(job_body(Bytes(kJobBytesMax + 1), filled(1))).ok());
  const std::vector<Digest> many(kernels::kSlotsMax + 1);
  EXPECT_FALSE(decode<MergeBody>(merge_body(filled(1), 0, filled(2), many)).ok());
}

TEST(Bodies, WrapASignedRecordAndNothingElse) {
  const Bytes body = Writer().put_blob(Bytes{1, 2, 3}).take();
  EXPECT_EQ(decode_wrapped(body, 3).value().size(), 3U);
  EXPECT_FALSE(decode_wrapped(body, 2).ok());
  EXPECT_FALSE(decode_wrapped(ByteView(body).first(6), 3).ok());
  Bytes longer = body;
  longer.push_back(0);
  EXPECT_FALSE(decode_wrapped(longer, 3).ok());
}

}  // namespace
}  // namespace gemmine::verifier
