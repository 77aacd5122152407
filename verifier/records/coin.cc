#include "verifier/records/coin.h"

#include <cstring>

#include "kernels/hash/blake3.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

namespace {

constexpr uint64_t kMillion = 1'000'000;

__extension__ using Wide = unsigned __int128;

}  // namespace

Digest lease_secret(const Digest& pool_master, uint64_t serial) {
  return kernels::blake3_derive_key(domain::kLeaseSecret,
                                    Writer().put_digest(pool_master).put(serial).bytes());
}

Digest coin_commit(const Digest& secret) {
  return kernels::blake3_derive_key(domain::kCoin, secret.view());
}

Digest challenge_seed(const Digest& secret, const Digest& share_id) {
  return kernels::blake3_keyed(secret, share_id.view());
}

uint64_t draw(const Digest& seed, uint32_t number) {
  const Digest hash = kernels::blake3_keyed(seed, Writer().put(number).bytes());
  uint64_t out = 0;
  std::memcpy(&out, hash.bytes.data(), sizeof out);
  return out;
}

uint64_t pick(const Digest& seed, uint32_t number, uint64_t count) {
  GEMMINE_CHECK(count > 0);
  return static_cast<uint64_t>((Wide{draw(seed, number)} * count) >> 64);
}

AuditKind audit_kind(const AuditPolicy& policy, const Digest& seed, uint32_t valid_shares_of_key) {
  if (valid_shares_of_key < policy.probation_shares) return AuditKind::replay;
  if (draw(seed, 0) % kMillion < policy.replay_ppm) return AuditKind::replay;
  if (draw(seed, 1) % kMillion < policy.spot_ppm) return AuditKind::spot;
  return AuditKind::none;
}

}  // namespace gemmine::verifier
