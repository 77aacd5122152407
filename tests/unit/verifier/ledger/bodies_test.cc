// The body of every kind of record: encoded and decoded by one description.
#include "verifier/ledger/bodies.h"

#include <gtest/gtest.h>

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
  const Digest a = filled(1);
  const Digest b = filled(2);
  EXPECT_EQ(decoded<GenesisBody>(encode(GenesisBody{a, "house"})).fee_account, "house");
  EXPECT_EQ(decoded<JobBody>(encode(JobBody{Bytes{1, 2}, a})).job, (Bytes{1, 2}));
  EXPECT_EQ(decoded<FundBody>(encode(FundBody{a, 99})).amount, 99U);
  EXPECT_EQ(decoded<MemberBody>(encode(MemberBody{a, "alice", 7, {}})).counter, 7U);
  EXPECT_EQ(decoded<DeltaBody>(encode(DeltaBody{a, b})).delta_root, b);
  EXPECT_EQ(decoded<CloseBody>(encode(CloseBody{a, CloseReason::expired, b, {}, {}})).secret, b);
  EXPECT_EQ(decoded<BanBody>(encode(BanBody{a, b, filled(3)})).proof, filled(3));
  const MergeBody merge{a, 3, a, b, {filled(3), filled(4)}, {filled(5)}};
  EXPECT_EQ(decoded<MergeBody>(encode(merge)).lease_ids, merge.lease_ids);
  EXPECT_EQ(decoded<MergeBody>(encode(merge)).subtracted, merge.subtracted);
  EXPECT_EQ(decoded<ProofBody>(encode(ProofBody{ProofKind::update, a, b, 9})).bytes, 9U);
  EXPECT_EQ(decoded<FinishBody>(encode(FinishBody{a, b})).theta_root, b);
  const std::string longest = "escrow:" + to_hex(a.view());
  EXPECT_EQ(decoded<PostBody>(encode(PostBody{5, {{longest, -3}}})).postings[0].account, longest);
  const ChallengeBody challenge{a, ChallengeWhy::descent, Asked::chunks, b, 60};
  EXPECT_EQ(decoded<ChallengeBody>(encode(challenge)).answer_ms, 60U);
  EXPECT_EQ(decoded<AnswerBody>(encode(AnswerBody{a, 4, b, 8, {}})).bytes, 8U);
  EXPECT_EQ(decoded<DrawBody>(encode(DrawBody{a, b, 4, 8, DrawReason::idle, a, {}})).leases, 8U);
  EXPECT_EQ(decoded<RedrawBody>(encode(RedrawBody{a, b, 4, filled(3)})).s0, filled(3));
  EXPECT_EQ(decoded<SettleBody>(encode(SettleBody{a, b, 4, SettleOutcome::fined, 8})).paid, 8U);
  EXPECT_EQ(decoded<StopBody>(encode(StopBody{a, b, 4, StopReason::diverged})).step, 4U);
  const Record record{7, 8, RecordKind::fund, Bytes{1, 2, 3}};
  EXPECT_EQ(decoded<Record>(encode(record)).body, record.body);
}

TEST(Bodies, RefuseWhatIsOutOfBounds) {
  const Digest a = filled(1);
  const auto refused = [](const auto& body) {
    return !decode<std::remove_cvref_t<decltype(body)>>(encode(body)).ok();
  };
  EXPECT_TRUE(refused(CloseBody{a, CloseReason{0}, a, {}, {}}));
  EXPECT_TRUE(refused(CloseBody{a, CloseReason{6}, a, {}, {}}));
  EXPECT_TRUE(refused(MemberBody{a, std::string(65, 'a'), 1, {}}));
  EXPECT_TRUE(refused(MemberBody{a, "two\nlines", 1, {}}));
  EXPECT_TRUE(refused(JobBody{Bytes(kJobBytesMax + 1), a}));
  const std::vector<Digest> many(kernels::kSlotsMax + 1);
  EXPECT_TRUE(refused(MergeBody{a, 0, a, a, many, {}}));
  EXPECT_TRUE(refused(MergeBody{a, 0, a, a, {}, many}));
  EXPECT_TRUE(refused(ProofBody{ProofKind{0}, a, a, 1}));
  EXPECT_TRUE(refused(ProofBody{ProofKind{10}, a, a, 1}));
  EXPECT_TRUE(refused(ProofBody{ProofKind::block, a, a, kProofBytesMax + 1}));
  EXPECT_TRUE(refused(ChallengeBody{a, ChallengeWhy{0}, Asked::thread, a, 1}));
  EXPECT_TRUE(refused(ChallengeBody{a, ChallengeWhy{4}, Asked::thread, a, 1}));
  EXPECT_TRUE(refused(ChallengeBody{a, ChallengeWhy::ticket, Asked{0}, a, 1}));
  EXPECT_TRUE(refused(ChallengeBody{a, ChallengeWhy::ticket, Asked{7}, a, 1}));
  EXPECT_TRUE(refused(AnswerBody{a, 0, a, kAnswerBlobBytesMax + 1, {}}));
  EXPECT_TRUE(refused(DrawBody{a, a, 0, 1, DrawReason{0}, a, {}}));
  EXPECT_TRUE(refused(DrawBody{a, a, 0, 1, DrawReason{5}, a, {}}));
  EXPECT_TRUE(refused(SettleBody{a, a, 0, SettleOutcome{0}, 1}));
  EXPECT_TRUE(refused(SettleBody{a, a, 0, SettleOutcome{4}, 1}));
  EXPECT_TRUE(refused(StopBody{a, a, 0, StopReason{0}}));
}

TEST(Bodies, WrapASignedRecordAndNothingElse) {
  const Bytes body = signed_body(Bytes{1, 2, 3});
  EXPECT_EQ(decode_wrapped(body, 3).value().size(), 3U);
  EXPECT_FALSE(decode_wrapped(body, 2).ok());
  EXPECT_FALSE(decode_wrapped(ByteView(body).first(6), 3).ok());
  Bytes longer = body;
  longer.push_back(0);
  EXPECT_FALSE(decode_wrapped(longer, 3).ok());
}

}  // namespace
}  // namespace gemmine::verifier
