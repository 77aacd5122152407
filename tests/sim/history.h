// One history of a pool in bad weather, from a seed to the end of its job, and what broke in it.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace gemmine::sim {

struct Outcome {
  std::vector<std::string> failures;  // empty: all that must hold did
  bool cheated = false;
  bool rolled_back = false;
  uint32_t crashes = 0;
};

Outcome simulate(uint64_t seed, Plant plant = Plant::none);

}  // namespace gemmine::sim
