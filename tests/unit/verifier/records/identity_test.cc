// One rule for signatures: PROTOCOL 1.4.
#include "verifier/records/identity.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/paths.h"

namespace gemmine::verifier {
namespace {

// tests/vectors/check_ed25519.py holds the Python reference and libsodium against the same file.
TEST(Signatures, AreJudgedByTheOneRuleOnEveryPublishedEdgeCase) {
  std::ifstream file(test::source_dir() + "/tests/vectors/ed25519_cctv.txt");
  size_t cases = 0;
  size_t accepted = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream tokens(line);
    std::string key;
    std::string signature;
    std::string message;
    int expected = -1;
    tokens >> key >> signature >> message >> expected;
    const Bytes signed_bytes = from_hex(signature).value();
    Signature given{};
    ASSERT_EQ(signed_bytes.size(), given.size());
    std::ranges::copy(signed_bytes, given.begin());
    const Bytes text = from_hex(message).value();
    const bool valid = verify_signature(digest_from_hex(key).value(), ByteView(text), given);
    EXPECT_EQ(valid, expected == 1) << "case " << cases << ": " << line;
    ++cases;
    accepted += valid ? 1 : 0;
  }
  EXPECT_EQ(cases, 914U);
  EXPECT_EQ(accepted, 43U);
}

// OpenSSL alone takes this for a signature of any message by the identity point.
TEST(Signatures, ByTheIdentityPointSignNothing) {
  Digest identity_point;
  identity_point.bytes[0] = 1;
  Signature signature{};
  signature[0] = 1;
  EXPECT_EQ(fault_of_key(identity_point), KeyFault::low_order);
  EXPECT_FALSE(verify_signature(identity_point, Digest{}, signature));
}

TEST(Signatures, NeedACanonicalKey) {
  Digest key;
  std::ranges::fill(key.bytes, uint8_t{0xff});
  for (int lowest = 0xed; lowest <= 0xff; ++lowest) {
    key.bytes.front() = static_cast<uint8_t>(lowest);
    for (const uint8_t highest : {0x7f, 0xff}) {
      key.bytes.back() = highest;
      EXPECT_EQ(fault_of_key(key), KeyFault::not_canonical) << lowest;
    }
  }
  key.bytes.front() = 0xeb;
  EXPECT_EQ(fault_of_key(key), KeyFault::none);
  key.bytes.front() = 0xec;  // p − 1
  EXPECT_EQ(fault_of_key(key), KeyFault::low_order);
}

TEST(Signatures, OfOurOwnKeysAreValidAndBoundToKeyAndMessage) {
  for (uint8_t i = 0; i < 8; ++i) {
    Digest seed;
    seed.bytes[0] = i;
    const Identity identity = Identity::from_seed(seed);
    const Signature signature = identity.sign(seed);
    EXPECT_EQ(fault_of_key(identity.public_key()), KeyFault::none);
    EXPECT_TRUE(verify_signature(identity.public_key(), seed, signature));
    Digest other = seed;
    other.bytes[31] = 1;
    EXPECT_FALSE(verify_signature(identity.public_key(), other, signature));
  }
}

}  // namespace
}  // namespace gemmine::verifier
