// The pool's signature under its ledger: PROTOCOL 8.1.
#include "verifier/records/head.h"

#include <gtest/gtest.h>

namespace gemmine::verifier {
namespace {

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

const Bytes kBody = {1, 2, 3};
constexpr uint8_t kKind = 6;

// What a pool hands out for a record.
Receipt receipt_by(const Identity& pool) {
  Receipt receipt{.seq = 5, .time_ms = 7, .head_before = filled(8)};
  SignedHead head = head_of(receipt, kKind, kBody);
  sign(head, pool);
  receipt.signature = head.signature;
  return receipt;
}

TEST(Receipt, VouchesForTheRecordItWasGivenFor) {
  const Identity pool = Identity::from_seed(filled(1));
  const Receipt receipt = receipt_by(pool);
  EXPECT_TRUE(signed_by(head_of(receipt, kKind, kBody), pool.public_key()));
  EXPECT_FALSE(signed_by(head_of(receipt, kKind, kBody), filled(2)));
  EXPECT_FALSE(signed_by(head_of(receipt, kKind + 1, kBody), pool.public_key()));
  EXPECT_FALSE(signed_by(head_of(receipt, kKind, Bytes{1, 2, 4}), pool.public_key()));
  const auto changed = [&](auto change) {
    Receipt other = receipt;
    change(other);
    return signed_by(head_of(other, kKind, kBody), pool.public_key());
  };
  EXPECT_FALSE(changed([](Receipt& r) { ++r.seq; }));
  EXPECT_FALSE(changed([](Receipt& r) { ++r.time_ms; }));
  EXPECT_FALSE(changed([](Receipt& r) { r.head_before.bytes[31] ^= 1; }));
  EXPECT_FALSE(changed([](Receipt& r) { r.signature[40] ^= 1; }));
}

TEST(SignedHead, IsBoundToSeqTimeAndHead) {
  const Identity pool = Identity::from_seed(filled(1));
  SignedHead head{.seq = 1, .time_ms = 2, .head = filled(3)};
  sign(head, pool);
  EXPECT_TRUE(signed_by(head, pool.public_key()));
  EXPECT_EQ(encode(head).size(), kSignedHeadBytes);
  EXPECT_EQ(decode<SignedHead>(encode(head)).value(), head);
  for (size_t i = 0; i < kSignedHeadBytes; ++i) {
    Bytes bytes = encode(head);
    bytes[i] ^= 1;
    EXPECT_FALSE(signed_by(decode<SignedHead>(bytes).value(), pool.public_key())) << i;
    EXPECT_FALSE(decode<SignedHead>(ByteView(bytes).first(i)).ok());
  }
}

}  // namespace
}  // namespace gemmine::verifier
