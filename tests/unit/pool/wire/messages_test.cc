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

struct Sample {
  const char* name;
  Bytes payload;
  bool (*decodes)(ByteView);
  Bytes (*again)(ByteView);
};

template <auto decode>
Sample sample(const char* name, Bytes payload) {
  return {name, std::move(payload), [](ByteView bytes) { return decode(bytes).ok(); },
          [](ByteView bytes) { return encode(decode(bytes).value()); }};
}

AuthOk auth_ok() {
  AuthOk out;
  out.session = 7;
  out.jobs.push_back({.job = {1, 2, 3}, .round = 4, .theta_root = filled(5), .finished = true});
  out.leases.push_back({.lease = {6, 7}, .shares_accepted = 8, .delta_stored = true});
  return out;
}

BlobPart blob_part() {
  return {filled(1), 100'000, 1, 1, {filled(2), filled(3)}, Bytes(100, 9)};
}

DeltaPart delta_part() {
  return {filled(1), 100'000, 1, 2, {filled(2)}, Bytes(100'000, 9)};
}

std::vector<Sample> samples() {
  Hello hello;
  hello.public_key = filled(1);
  hello.account = "alice";
  hello.agent = "gemmine/0.1";
  return {
      sample<decode_hello>("HELLO", encode(hello)),
      sample<decode_hello_ok>("HELLO_OK", encode(HelloOk{1, filled(1), filled(2), 30, 40})),
      sample<decode_auth>("AUTH", encode(Auth{})),
      sample<decode_auth_ok>("AUTH_OK", encode(auth_ok())),
      sample<decode_error>("ERROR", encode(ErrorMessage{3, WireError::busy, 200, "later"})),
      sample<decode_round>("ROUND", encode(Round{filled(1), 2, filled(3), true})),
      sample<decode_get_lease>("GET_LEASE", encode(GetLease{filled(1)})),
      sample<decode_lease_message>("LEASE", encode(LeaseMessage{{1, 2}})),
      sample<decode_no_lease>("NO_LEASE", encode(NoLease{500, "no slot is free"})),
      sample<decode_get_blob>("GET_BLOB", encode(GetBlob{filled(1), 2, 16})),
      sample<decode_blob>("BLOB", encode(blob_part())),
      sample<decode_abandon>("ABANDON", encode(Abandon{filled(1)})),
      sample<decode_share_message>("SHARE", encode(ShareMessage{{1, 2}})),
      sample<decode_share_ok>("SHARE_OK", encode(ShareOk{filled(1), 2, 3})),
      sample<decode_challenge>("CHALLENGE", encode(Challenge{filled(1), 2, filled(3), 4})),
      sample<decode_opening_message>("OPENING", encode(OpeningMessage{filled(1), 2, 3, {4, 5}})),
      sample<decode_verdict_message>("VERDICT", encode(VerdictMessage{{1, 2}})),
      sample<decode_delta>("DELTA", encode(delta_part())),
      sample<decode_delta_ok>("DELTA_OK", encode(DeltaOk{filled(1)})),
      sample<decode_lease_closed>("LEASE_CLOSED", encode(LeaseClosed{filled(1), 2, filled(3)})),
      sample<decode_watch>("WATCH", encode(Watch{9})),
      sample<decode_record>("RECORD", encode(RecordMessage{1, 2, 3, {4, 5}})),
      sample<decode_ping>("PING", encode(Ping{9})),
      sample<decode_bye>("BYE", encode(Bye{"see you"})),
  };
}

TEST(Messages, EveryOneComesBackAsItWasSent) {
  for (const Sample& each : samples()) {
    ASSERT_TRUE(each.decodes(each.payload)) << each.name;
    EXPECT_EQ(each.again(each.payload), each.payload) << each.name;
  }
}

TEST(Messages, RefuseEveryTruncation) {
  for (const Sample& each : samples()) {
    const ByteView whole = each.payload;
    const size_t step = std::max<size_t>(1, whole.size() / 500);
    for (size_t size = 0; size < whole.size(); size += step)
      EXPECT_FALSE(each.decodes(whole.first(size))) << each.name << " cut to " << size;
  }
}

TEST(Messages, RefuseTrailingBytes) {
  for (Sample& each : samples()) {
    each.payload.push_back(0);
    EXPECT_FALSE(each.decodes(each.payload)) << each.name;
  }
}

TEST(Messages, RefuseAnotherMagic) {
  Bytes payload = encode(Hello{});
  payload[0] ^= 1;
  EXPECT_FALSE(decode_hello(payload));
}

TEST(Messages, RefuseARoleNobodyHas) {
  for (const int role : {0, 3, 255}) {
    Hello hello;
    hello.role = static_cast<Role>(role);
    EXPECT_FALSE(decode_hello(encode(hello))) << role;
  }
}

TEST(Messages, RefuseTextsOverTheirBounds) {
  Hello hello;
  hello.account = std::string(kAccountBytesMax + 1, 'a');
  EXPECT_FALSE(decode_hello(encode(hello)));
  EXPECT_FALSE(decode_no_lease(encode(NoLease{0, std::string(kReasonTextMax + 1, 'a')})));
}

TEST(Messages, RefuseFlagsThatAreNeitherZeroNorOne) {
  Bytes payload = encode(Round{});
  payload.back() = 2;
  EXPECT_FALSE(decode_round(payload));
}

TEST(Messages, RefusePartsOfNoOrTooManyGroups) {
  for (const uint32_t groups : {uint32_t{0}, kBlobGroupsMax + 1, UINT32_MAX}) {
    BlobPart part = blob_part();
    part.groups = groups;
    EXPECT_FALSE(decode_blob(encode(part))) << groups;
    EXPECT_FALSE(decode_get_blob(encode(GetBlob{filled(1), 0, groups}))) << groups;
  }
}

TEST(Messages, RefuseMoreBytesThanThePartHasGroups) {
  DeltaPart part = delta_part();
  part.bytes.resize(2 * kBlobGroup + 1);
  EXPECT_FALSE(decode_delta(encode(part)));
}

TEST(Messages, RefuseMoreSiblingsThanATreeHas) {
  BlobPart part = blob_part();
  part.siblings.assign(kBlobSiblingsMax + 1, filled(1));
  EXPECT_FALSE(decode_blob(encode(part)));
}

TEST(Messages, RefuseOpeningsOverTheirBound) {
  OpeningMessage message;
  message.opening.resize(verifier::kOpeningBytesMax + 1);
  EXPECT_FALSE(decode_opening_message(encode(message)));
}

TEST(Messages, RefuseMoreLeasesThanAKeyMayHold) {
  Writer writer;
  writer.put(uint64_t{1}).put(uint16_t{0}).put(static_cast<uint16_t>(kOpenLeasesMax + 1));
  for (size_t i = 0; i <= kOpenLeasesMax; ++i)
    writer.put_blob({}).put(uint32_t{0}).put(uint8_t{0});
  EXPECT_FALSE(decode_auth_ok(writer.bytes()));
}

TEST(Messages, MakeTextsForStrangersFitAndPrintable) {
  const auto error = decode_error(encode(ErrorMessage{0, WireError::busy, 0, "caf\xc3\xa9\n"}));
  ASSERT_TRUE(error);
  EXPECT_EQ(error.value().text, "caf???");
  const auto bye = decode_bye(encode(Bye{std::string(500, 'x')}));
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye.value().text.size(), kByeTextMax);
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
