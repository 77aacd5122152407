// How many connections the system's limit of open files leaves room for.
#pragma once

#include <cstdint>

#include "kernels/base/result.h"

namespace gemmine::pool {

// What the pool itself opens: standard streams, loop, lock, ledger with its log and index, a blob
// being written and one being served, the status file. Each audit thread reads one blob besides.
inline constexpr uint32_t kDescriptorsOwn = 28;
inline constexpr uint32_t kConnectionsMin = 4;  // fewer are no pool

// Raises the soft limit of open files as far as `connections` needs and the system allows. How many
// connections there may be then: `connections`, or as many as leave the pool what it needs itself.
// Errors: unsupported (not even kConnectionsMin), with what to do.
Result<uint32_t> reserve_descriptors(uint32_t connections, uint32_t audit_threads);

}  // namespace gemmine::pool
