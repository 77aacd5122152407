#include "pool/core/audits_owed.h"

#include <algorithm>

namespace gemmine::pool {

Audit* Audits::find(const ShareKey& key) {
  const auto found = pending_.find(key);
  return found == pending_.end() ? nullptr : &found->second;
}

std::vector<ShareKey> Audits::of_lease(const Digest& lease_id) const {
  std::vector<ShareKey> out;
  for (auto at = pending_.lower_bound({lease_id, 0});
       at != pending_.end() && at->first.lease_id == lease_id; ++at)
    out.push_back(at->first);
  return out;
}

void Audits::erase_lease(const Digest& lease_id) {
  for (const ShareKey& key : of_lease(lease_id))
    pending_.erase(key);
}

bool Audits::owes(const Digest& lease_id) const {
  return std::ranges::any_of(of_lease(lease_id),
                             [&](const ShareKey& key) { return pending_.at(key).required; });
}

bool Audits::waits_for_miner(const Digest& lease_id) const {
  return std::ranges::any_of(of_lease(lease_id), [&](const ShareKey& key) {
    return pending_.at(key).stage == Audit::Stage::waiting_answer;
  });
}

}  // namespace gemmine::pool
