#include "verifier/records/identity.h"

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

}  // namespace

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

bool verify_signature(const Digest& public_key, const Digest& message, const Signature& signature) {
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.bytes.data(),
                                            public_key.bytes.size()));
  const Context context(EVP_MD_CTX_new());
  if (key == nullptr || context == nullptr) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.bytes.data(),
                          message.bytes.size()) == 1;
}

}  // namespace gemmine::verifier
