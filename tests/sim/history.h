// One history of a pool in bad weather, from a seed to the end of its job, and what broke in it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace gemmine::sim {

// Steps of the gpt's devices.
inline constexpr uint32_t kFastStepMs = 200;
inline constexpr uint32_t kMiddleStepMs = 1'500;
inline constexpr uint32_t kSlowStepMs = 5'000;

struct Outcome {
  std::vector<std::string> failures;  // empty: all that must hold did
  bool cheated = false;
  uint32_t subtracted = 0;  // leases whose deltas were taken out again
  uint32_t crashes = 0;

  Digest theta_root;               // that the job ended with
  std::set<std::string> arrivals;  // slots of a merged round's deltas, in the order they came
  uint32_t expired = 0;            // leases
  uint32_t given_back = 0;         // leases
  uint32_t settled = 0;            // batches
  uint32_t fundings = 0;
  uint32_t leased_again = 0;  // leases of a slot that had one before
  // Sizes of shares by the milliseconds of a miner's step, in the order of its leases.
  std::map<uint32_t, std::vector<uint32_t>> share_sizes;
};

// With a gpt: devices of very different speed, of which some come late and some leave.
Outcome simulate(uint64_t seed, Plant plant = Plant::none, const Setting& setting = {});

}  // namespace gemmine::sim
