#include "verifier/records/identity.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace gemmine::verifier {

namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Key private_key(const Digest& seed) {
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.bytes.data(),
                                       seed.bytes.size()));
  GEMMINE_CHECK(key != nullptr);  // Every 32 bytes are a seed; only memory can be missing.
  return key;
}

void wipe(Digest& seed) {
  OPENSSL_cleanse(seed.bytes.data(), seed.bytes.size());
}

// y of a point of order 1, 2, 4 or 8, little-endian; x and −x have the same.
constexpr Digest kLowOrder[] = {
    {{0x00}},  // order 4
    {{0x01}},  // order 1
    {{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
      0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
      0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}},  // order 8
    {{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
      0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
      0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}},  // order 8
    {{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},  // order 2: p − 1
};

// y as a point's encoding has it: without the sign of x in its highest bit.
Digest y_of(Digest encoded) {
  encoded.bytes.back() &= 0x7f;
  return encoded;
}

// y < p = 2²⁵⁵ − 19.
bool canonical(const Digest& y) {
  constexpr uint8_t kLowestOfPrime = 0xed;
  const bool high =
      y.bytes.back() == 0x7f && std::all_of(y.bytes.begin() + 1, y.bytes.end() - 1,
                                            [](uint8_t byte) { return byte == 0xff; });
  return !high || y.bytes.front() < kLowestOfPrime;
}

}  // namespace

KeyFault fault_of_key(const Digest& public_key) {
  const Digest y = y_of(public_key);
  if (!canonical(y)) return KeyFault::not_canonical;
  return std::ranges::find(kLowOrder, y) == std::end(kLowOrder) ? KeyFault::none
                                                                : KeyFault::low_order;
}

Identity::Identity(const Digest& seed) : seed_(seed) {
  const Key key = private_key(seed_);
  size_t size = public_key_.bytes.size();
  GEMMINE_CHECK(EVP_PKEY_get_raw_public_key(key.get(), public_key_.bytes.data(), &size) == 1);
  GEMMINE_CHECK(size == public_key_.bytes.size());
}

Identity Identity::from_seed(const Digest& seed) {
  return Identity(seed);
}

Identity::Identity(Identity&& other) noexcept : seed_(other.seed_), public_key_(other.public_key_) {
  wipe(other.seed_);
}

Identity& Identity::operator=(Identity&& other) noexcept {
  if (this == &other) return *this;
  seed_ = other.seed_;
  public_key_ = other.public_key_;
  wipe(other.seed_);
  return *this;
}

Identity::~Identity() {
  wipe(seed_);
}

Signature Identity::sign(const Digest& message) const {
  const Key key = private_key(seed_);
  const Context context(EVP_MD_CTX_new());
  GEMMINE_CHECK(context != nullptr);
  GEMMINE_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  Signature out{};
  size_t size = out.size();
  GEMMINE_CHECK(EVP_DigestSign(context.get(), out.data(), &size, message.bytes.data(),
                               message.bytes.size()) == 1);
  GEMMINE_CHECK(size == out.size());
  return out;
}

bool verify_signature(const Digest& public_key, ByteView message, const Signature& signature) {
  // OpenSSL decides s < ℓ and the equation without the cofactor, but takes any A that it can decode
  // and does not ask for its order, nor for that of R.
  Digest commitment;
  std::copy_n(signature.begin(), commitment.bytes.size(), commitment.bytes.begin());
  if (fault_of_key(public_key) != KeyFault::none || fault_of_key(commitment) != KeyFault::none)
    return false;
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.bytes.data(),
                                            public_key.bytes.size()));
  const Context context(EVP_MD_CTX_new());
  if (key == nullptr || context == nullptr) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

bool verify_signature(const Digest& public_key, const Digest& message, const Signature& signature) {
  return verify_signature(public_key, message.view(), signature);
}

}  // namespace gemmine::verifier
