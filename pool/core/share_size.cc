#include "pool/core/share_size.h"

#include <algorithm>
#include <vector>

#include "pool/wire/messages.h"

namespace gemmine::pool {

Pace pace_of(const verifier::LeaseState& lease, uint32_t index) {
  const verifier::ShareState& share = lease.shares[index];
  const uint64_t since = index == 0 ? lease.lease.issued_ms : lease.shares[index - 1].time_ms;
  return {share.time_ms > since ? share.time_ms - since : 0, share.share.macs};
}

void keep_pace(std::deque<Pace>& paces, Pace pace) {
  paces.push_back(pace);
  if (paces.size() > kPacesMax) paces.pop_front();
}

uint32_t largest_share(uint32_t steps, uint32_t job_size) {
  const uint32_t most = std::max(job_size, (steps - 1) / kSharesPerLeaseMin + 1);
  return std::min({steps, most, kStepsPerShareMax});
}

uint32_t choose_share_size(const std::deque<Pace>& paces, uint64_t target_ms, uint32_t steps,
                           uint64_t macs_per_step, uint32_t job_size) {
  if (target_ms == 0 || paces.empty()) return job_size;
  std::vector<double> ms_per_mac;
  for (const Pace& pace : paces) {
    // Shorter than the ledger's clock can tell is as long as its tick.
    const auto ms = static_cast<double>(std::max<uint64_t>(pace.ms, 1));
    ms_per_mac.push_back(ms / static_cast<double>(std::max<uint64_t>(pace.macs, 1)));
  }
  const auto middle = ms_per_mac.begin() + static_cast<ptrdiff_t>(ms_per_mac.size() / 2);
  std::nth_element(ms_per_mac.begin(), middle, ms_per_mac.end());
  const double wanted =
      static_cast<double>(target_ms) / (*middle * static_cast<double>(macs_per_step));
  const uint32_t least = (steps - 1) / verifier::kSharesPerLeaseMax + 1;
  const uint32_t most = largest_share(steps, job_size);
  if (wanted >= static_cast<double>(most)) return most;
  return std::max(least, static_cast<uint32_t>(wanted));
}

}  // namespace gemmine::pool
