// What the pool tells its operator, as JSON: the status file and `gemmine-pool report`.
#pragma once

#include <cstdint>
#include <string>

#include "pool/core/pool.h"

namespace gemmine::pool {

struct StatusExtras {
  uint64_t time_ms = 0;
  size_t connections = 0;
  size_t tasks_waiting = 0;
  bool stalled = false;
};
// Objects `jobs` (name, round, rounds, accuracy by round, losses, shares, escrow, finished),
// `miners`, `shares` by verdict, `macs_per_second` over 10 s, `ledger` (records, head).
std::string status_json(Pool& pool, const StatusExtras& extras);

// The same from a ledger alone, with accounts and escrow arithmetic, for people or as JSON.
std::string report_text(const verifier::LedgerState& state);
std::string report_json(const verifier::LedgerState& state);

// Temporary file and rename: a reader sees the old text or the new one. Not synced. Errors: io.
Status replace_file(const std::string& path, const std::string& text);

}  // namespace gemmine::pool
