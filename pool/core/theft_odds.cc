#include "pool/core/theft_odds.h"

#include <cmath>

#include "pool/core/share_size.h"

namespace gemmine::pool {

TheftOdds theft_odds(const verifier::Job& job) {
  const uint32_t steps = job.spec.steps_per_lease;
  TheftOdds odds;
  odds.shares = verifier::share_count(steps, largest_share(steps, job.steps_per_share));
  const double missed = std::pow(1 - job.audit.replay_ppm * 1e-6, odds.shares);
  odds.found = 1 - missed;
  // Lease k is paid when lease k + vest_leases has been complete.
  odds.leases_paid = std::pow(missed, job.audit.vest_leases + 1.0) / odds.found;
  return odds;
}

}  // namespace gemmine::pool
