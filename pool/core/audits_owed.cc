#include "pool/core/audits_owed.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace gemmine::pool {

Audit& Audits::add(const ShareKey& key, const Audit& audit) {
  const bool spot = audit.kind == verifier::AuditKind::spot;
  GEMMINE_CHECK(spot || audit.kind == verifier::AuditKind::replay);
  GEMMINE_CHECK(spot == (audit.stage == Audit::Stage::waiting_answer));
  GEMMINE_CHECK(spot || audit.blocks == 0);
  return pending_[key] = audit;
}

Audit* Audits::find(const ShareKey& key) {
  const auto found = pending_.find(key);
  return found == pending_.end() ? nullptr : &found->second;
}

std::vector<ShareKey> Audits::of_lease(const Digest& lease_id) const {
  std::vector<ShareKey> out;
  for (const auto& [key, audit] : pending_of(lease_id))
    out.push_back(key);
  return out;
}

void Audits::erase_lease(const Digest& lease_id) {
  pending_.erase(pending_.lower_bound({lease_id, 0}), pending_.upper_bound({lease_id, UINT32_MAX}));
}

bool Audits::owes(const Digest& lease_id) const {
  return std::ranges::any_of(pending_of(lease_id),
                             [](const auto& entry) { return entry.second.required; });
}

bool Audits::waits(const ShareKey& key) const {
  const auto found = pending_.find(key);
  return found != pending_.end() && found->second.stage == Audit::Stage::waiting_answer;
}

}  // namespace gemmine::pool
