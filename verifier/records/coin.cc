#include "verifier/records/coin.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/hash/blake3.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

namespace {

constexpr uint64_t kMillion = 1'000'000;

__extension__ using Wide = unsigned __int128;

// Numbers i of R(i) in a batch's draw (PROTOCOL 13.4).
constexpr uint32_t kFraction = 0;
constexpr uint32_t kFirstThread = 1;
constexpr uint32_t kFirstReplay = kFirstThread + kTicketsMax;

Digest seed_of(const Digest& secret, std::span<const Digest> share_ids) {
  kernels::Blake3 hash(kernels::Blake3Mode::keyed(secret));
  for (const Digest& id : share_ids)
    hash.update(id.view());
  return hash.finish();
}

// Leases of a batch, drawn without replacement until all were, and then again.
class Urn {
 public:
  explicit Urn(uint32_t leases) : leases_(leases) {}
  uint32_t take(const Digest& seed, uint32_t number) {
    if (left_.empty()) {
      left_.resize(leases_);
      std::iota(left_.begin(), left_.end(), 0U);
    }
    const auto at = static_cast<size_t>(pick(seed, number, left_.size()));
    const uint32_t taken = left_[at];
    left_[at] = left_.back();
    left_.pop_back();
    return taken;
  }

 private:
  uint32_t leases_;
  std::vector<uint32_t> left_;
};

}  // namespace

Digest coin_commit(const Digest& secret) {
  return kernels::blake3_derive_key(domain::kCoin, secret.view());
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

Digest immediate_seed(const Digest& lease_secret, std::span<const Digest> share_ids) {
  return seed_of(lease_secret, share_ids);
}

bool audited_at_once(const AuditPolicy& policy, const Digest& immediate_seed,
                     uint32_t right_leases) {
  return right_leases < policy.first_audits || draw(immediate_seed, 0) % kMillion < policy.now_ppm;
}

Digest batch_seed(const Digest& s1, std::span<const Digest> share_ids) {
  return seed_of(s1, share_ids);
}

std::vector<Ticket> draw_tickets(const AuditPolicy& policy, uint32_t leases,
                                 const Digest& batch_seed) {
  GEMMINE_CHECK(leases > 0 && leases <= kBatchLeasesMax);
  GEMMINE_CHECK(policy.threads <= kTicketsMax && policy.replays_ppm <= kTicketsMax * kMillion);
  std::vector<Ticket> out;
  Urn threads(leases);
  for (uint32_t i = 0; i < policy.threads; ++i)
    out.push_back({threads.take(batch_seed, kFirstThread + i), AuditKind::thread});
  const bool one_more = draw(batch_seed, kFraction) % kMillion < policy.replays_ppm % kMillion;
  const auto whole = static_cast<uint32_t>(policy.replays_ppm / kMillion);
  // The same replay twice shows nothing new.
  const uint32_t replays = std::min(leases, whole + (one_more ? 1 : 0));
  Urn rest(leases);
  for (uint32_t i = 0; i < replays; ++i)
    out.push_back({rest.take(batch_seed, kFirstReplay + i), AuditKind::replay});
  return out;
}

Digest ticket_seed(const Digest& seed, const Digest& lease_id, uint32_t number) {
  return kernels::blake3_keyed(seed, Writer().put_digest(lease_id).put(number).bytes());
}

uint32_t silent_ticket(const Digest& s0, const Digest& batch_seed, uint32_t silent) {
  return static_cast<uint32_t>(pick(kernels::blake3_keyed(s0, batch_seed.view()), 0, silent));
}

uint32_t fine_of(const AuditPolicy& policy, uint32_t leases) {
  GEMMINE_CHECK(leases > 0 && policy.fail_ppm <= kMillion);
  const uint64_t lost = (uint64_t{policy.fail_ppm} * leases + kMillion - 1) / kMillion;
  return std::max(uint32_t{1}, static_cast<uint32_t>(lost));
}

}  // namespace gemmine::verifier
