// What a thief who computes nothing can expect to be paid before a replay finds him. Pure.
#pragma once

#include <cstdint>

#include "verifier/records/job.h"

namespace gemmine::pool {

// Spot audits do not count: who leaves out whole steps passes them (PROTOCOL 4.6).
struct TheftOdds {
  uint32_t shares = 0;  // of a lease, as few as the pool makes of it
  double found = 0;     // probability that a lease is found wrong
  // Leases' pay that vests before one is (PROTOCOL 8.4), on average and after probation; infinite
  // without replays.
  double leases_paid = 0;
};
TheftOdds theft_odds(const verifier::Job& job);

// Above it a job pays thieves more than they risk.
inline constexpr double kTheftLeasesMax = 1;

}  // namespace gemmine::pool
