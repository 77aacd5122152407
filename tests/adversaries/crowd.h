// One stranger with as many keys as it likes: they are free, and that is all it has. For the tests
// of what a thousand of them can do to a pool (economics.md §7).
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/exit_code.h"
#include "kernels/base/result.h"
#include "pool/client/session.h"

namespace gemmine::adversaries {

enum class Weapon {
  hoard,    // takes leases and lets them run out
  garbage,  // sends whole leases of nothing, and answers no question about them
  accuse,   // as an auditor without a list: says of leases that they are wrong
  mixed,    // all of it, key by key
};
// Errors: invalid_argument, listing the names.
Result<Weapon> parse_weapon(std::string_view name);

struct CrowdPlan {
  pool::Endpoint pool;
  Weapon weapon = Weapon::mixed;
  uint32_t keys = 1000;
  uint32_t at_once = 100;  // connections
};
// Until every key has had its turn and been refused, or a signal. Prints what became of them, as
// JSON.
ExitCode run_crowd(const CrowdPlan& plan);

}  // namespace gemmine::adversaries
