#include "pool/wire/messages.h"

#include <gtest/gtest.h>

#include "verifier/audit/opening.h"

namespace gemmine::pool {
namespace {

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

AuthOk auth_ok() {
  AuthOk out;
  out.session = 7;
  out.jobs.push_back({.job = {1, 2, 3}, .round = 4, .theta_root = filled(5), .finished = true});
  out.leases.push_back({.lease = {6, 7}, .shares_accepted = 8, .delta_stored = true});
  return out;
}

Hello hello() {
  Hello out;
  out.public_key = filled(1);
  out.account = "alice";
  out.agent = "gemmine/0.1";
  return out;
}

BlobPart blob_part() {
  return {filled(1), {100'000, 1, 1, {filled(2), filled(3)}, Bytes(100, 9)}};
}

Upload delta_part() {
  return {filled(1), 7, {100'000, 1, 2, {filled(2)}, Bytes(100'000, 9)}};
}

verifier::Receipt receipt() {
  return {.seq = 4, .time_ms = 5, .head_before = filled(6)};
}

// One of every message: a type without a sample does not compile.
template <class M>
M sample();
// clang-format off
template <> Hello sample() { return hello(); }
template <> HelloOk sample() { return {1, filled(1), filled(2), 30, 40}; }
template <> Auth sample() { return {}; }
template <> AuthOk sample() { return auth_ok(); }
template <> ErrorMessage sample() { return {3, WireError::busy, 200, "later"}; }
template <> Round sample() { return {filled(1), 2, filled(3), true}; }
template <> GetLease sample() { return {filled(1)}; }
template <> LeaseMessage sample() { return {{1, 2}}; }
template <> NoLease sample() { return {500, "no slot is free"}; }
template <> GetBlob sample() { return {filled(1), 2, 16}; }
template <> BlobPart sample() { return blob_part(); }
template <> Abandon sample() { return {filled(1), 7, {}}; }
template <> Settle sample() { return {filled(1), {}}; }
template <> AccuseMessage sample() { return {{1, 2}}; }
template <> ShareMessage sample() { return {{1, 2}, {filled(3), filled(4)}}; }
template <> ShareOk sample() { return {filled(1), 2, receipt()}; }
template <> ChallengeMessage sample() {
  using enum verifier::ChallengeWhy;
  return {{filled(1), ticket, verifier::Asked::thread, filled(2), 3}, receipt(), {7, 8}};
}
template <> AnswerMessage sample() { return {{filled(1), 2, filled(3), 4, {}}}; }
template <> VerdictMessage sample() { return {{1, 2}}; }
template <> Upload sample() { return delta_part(); }
template <> DeltaOk sample() { return {filled(1), receipt()}; }
template <> LeaseClosed sample() {
  return {{filled(1), verifier::CloseReason::expired, filled(3)}, receipt()};
}
template <> Watch sample() { return {9}; }
template <> RecordMessage sample() { return {receipt(), verifier::RecordKind::fund, {4, 5}}; }
template <> Have sample() { return {filled(1), 2, 3}; }
template <> Ping sample() { return {9}; }
template <> Pong sample() { return {9}; }
template <> Bye sample() { return {"see you"}; }
// clang-format on

// check.operator()<M>(payload) for the sample of every message.
void for_each_sample(auto check) {
  size_t seen = 0;
  for (int type = 0; type <= UINT8_MAX; ++type) {
    seen += with_message(static_cast<MessageType>(type), [&]<class M>() {
      SCOPED_TRACE(M::kName);
      check.template operator()<M>(encode(sample<M>()));
    });
  }
  EXPECT_EQ(seen, Messages::size());
}

TEST(Messages, EveryOneComesBackAsItWasSent) {
  for_each_sample([]<class M>(const Bytes& payload) {
    const auto again = decode<M>(payload);
    ASSERT_TRUE(again);
    EXPECT_EQ(encode(again.value()), payload);
  });
}

TEST(Messages, RefuseEveryTruncation) {
  for_each_sample([]<class M>(const Bytes& payload) {
    const size_t step = std::max<size_t>(1, payload.size() / 500);
    for (size_t size = 0; size < payload.size(); size += step)
      EXPECT_FALSE(decode<M>(ByteView(payload).first(size))) << size;
  });
}

TEST(Messages, RefuseTrailingBytes) {
  for_each_sample([]<class M>(Bytes payload) {
    payload.push_back(0);
    EXPECT_FALSE(decode<M>(payload));
  });
}

// Whatever decodes encodes to the bytes it was decoded from.
TEST(Messages, AreWrittenInOneWayOnly) {
  for_each_sample([]<class M>(const Bytes& payload) {
    const size_t bits = std::min<size_t>(payload.size(), 400) * 8;
    for (size_t bit = 0; bit < bits; ++bit) {
      Bytes changed = payload;
      changed[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
      const auto other = decode<M>(changed);
      EXPECT_TRUE(!other || encode(other.value()) == changed) << bit;
    }
  });
}

TEST(Messages, AreDeliveredToWhomCanTakeThem) {
  uint64_t heard = 0;
  const auto take = [&](const Ping& ping) { heard = ping.echo; };
  EXPECT_TRUE(deliver(MessageType::ping, encode(Ping{5}), take).value());
  EXPECT_EQ(heard, 5U);
  EXPECT_FALSE(deliver(MessageType::pong, encode(Pong{6}), take).value());
  EXPECT_FALSE(deliver(static_cast<MessageType>(0x05), {}, take).value());
  EXPECT_FALSE(deliver(MessageType::ping, Bytes(7), take));
  EXPECT_EQ(heard, 5U);
}

TEST(Messages, RefuseAnotherMagic) {
  Bytes payload = encode(Hello{});
  payload[0] ^= 1;
  EXPECT_FALSE(decode<Hello>(payload));
}

TEST(Messages, RefuseARoleNobodyHas) {
  for (const int role : {0, 3, 255}) {
    Hello hello;
    hello.role = static_cast<Role>(role);
    EXPECT_FALSE(decode<Hello>(encode(hello))) << role;
  }
}

TEST(Messages, RefuseTextsOverTheirBounds) {
  Hello hello;
  hello.account = std::string(kAccountBytesMax + 1, 'a');
  EXPECT_FALSE(decode<Hello>(encode(hello)));
  EXPECT_FALSE(decode<NoLease>(encode(NoLease{0, std::string(kReasonTextMax + 1, 'a')})));
}

TEST(Messages, RefuseFlagsThatAreNeitherZeroNorOne) {
  Bytes payload = encode(Round{});
  payload.back() = 2;
  EXPECT_FALSE(decode<Round>(payload));
}

TEST(Messages, RefusePartsOfNoOrTooManyGroups) {
  for (const uint32_t groups : {uint32_t{0}, kPartGroupsMax + 1, UINT32_MAX}) {
    BlobPart part = blob_part();
    part.part.groups = groups;
    EXPECT_FALSE(decode<BlobPart>(encode(part))) << groups;
    EXPECT_FALSE(decode<GetBlob>(encode(GetBlob{filled(1), 0, groups}))) << groups;
  }
}

TEST(Messages, RefuseMoreBytesThanThePartHasGroups) {
  Upload part = delta_part();
  part.part.bytes.resize(2 * kGroupBytes + 1);
  EXPECT_FALSE(decode<Upload>(encode(part)));
}

TEST(Messages, RefuseMoreSiblingsThanATreeHas) {
  BlobPart part = blob_part();
  part.part.siblings.assign(kPartSiblingsMax + 1, filled(1));
  EXPECT_FALSE(decode<BlobPart>(encode(part)));
}

TEST(Messages, RefuseMoreStepsThanAShareMayHave) {
  ShareMessage message;
  message.steps.resize(kStepsPerShareMax);
  EXPECT_TRUE(decode<ShareMessage>(encode(message)));
  EXPECT_LE(encode(message).size(), size_t{2} << 20);  // a frame
  message.steps.resize(size_t{kStepsPerShareMax} + 1);
  EXPECT_FALSE(decode<ShareMessage>(encode(message)));
}

TEST(Messages, RefuseMoreLeasesThanAKeyMayHold) {
  Writer writer;
  writer.put(uint64_t{1}).put(uint16_t{0}).put(static_cast<uint16_t>(kOpenLeasesMax + 1));
  for (size_t i = 0; i <= kOpenLeasesMax; ++i)
    writer.put_blob({}).put(uint32_t{0}).put(uint8_t{0});
  EXPECT_FALSE(decode<AuthOk>(writer.bytes()));
}

TEST(Messages, MakeTextsForStrangersFitAndPrintable) {
  const auto error =
      decode<ErrorMessage>(encode(ErrorMessage{0, WireError::busy, 0, "caf\xc3\xa9\n"}));
  ASSERT_TRUE(error);
  EXPECT_EQ(error.value().text, "caf???");
  const auto bye = decode<Bye>(encode(Bye{std::string(500, 'x')}));
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye.value().text.size(), kByeTextMax);
}

TEST(Messages, KnowTheirNames) {
  EXPECT_EQ(to_string(MessageType::hello), "HELLO");
  EXPECT_EQ(to_string(static_cast<MessageType>(0x05)), "?");
  EXPECT_EQ(to_string(WireError::out_of_order), "out_of_order");
  EXPECT_EQ(to_string(static_cast<WireError>(1)), "?");
}

TEST(Messages, KnowTheirTypes) {
  EXPECT_TRUE(is_known(0x3f));
  EXPECT_FALSE(is_known(0x05));
  EXPECT_FALSE(is_known(0xff));
}

TEST(AuthMessage, DependsOnEveryFieldItBinds) {
  const AuthMaterial base{filled(1), filled(2), filled(3), filled(4), filled(5), Role::miner, "a"};
  const Digest message = auth_message(base);
  for (int field = 0; field < 7; ++field) {
    AuthMaterial other = base;
    Digest* const digests[] = {&other.server_random, &other.client_random, &other.channel_binding,
                               &other.pool_key, &other.public_key};
    if (field < 5) digests[field]->bytes[31] ^= 1;
    if (field == 5) other.role = Role::auditor;
    if (field == 6) other.account.push_back(0x62);
    EXPECT_NE(auth_message(other), message) << field;
  }
}

}  // namespace
}  // namespace gemmine::pool
