// What the pool tells its operator: the status file of a running pool, and `gemmine-pool report`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pool/core/jobs.h"
#include "pool/core/pool.h"
#include "pool/core/totals.h"

namespace gemmine::pool {

// A ledger as people want to see it, copied out of what changes: any thread may make text of it.
struct LedgerView {
  struct Job {
    Digest id;
    std::string name;
    uint32_t round = 0;
    uint32_t rounds = 0;
    uint32_t slots = 0;
    uint32_t steps_per_lease = 0;
    uint64_t macs_per_step = 0;
    uint32_t open_leases = 0;
    uint64_t unsettled_leases = 0;  // complete, and their batch is not settled
    EscrowReach reach;
    Digest theta_root;
    bool stopped = false;
    bool finished = false;
    std::map<uint32_t, EvaluateDone> results;  // by rounds merged
  };
  uint64_t records = 0;
  Digest head;
  uint64_t last_time_ms = 0;
  Digest pool_key;
  std::vector<Job> jobs;
  std::map<Digest, verifier::MemberState> members;
  std::map<std::string, int64_t> accounts;
  Totals totals;
};
LedgerView view_of(const verifier::LedgerState& state, const Totals& totals);

// The same of a running pool, and what only it knows.
struct PoolView {
  LedgerView ledger;
  uint64_t time_ms = 0;
  size_t connections = 0;
  size_t tasks_waiting = 0;
  size_t audits_pending = 0;
  double macs_per_second = 0;  // over kRateWindowMs
  bool stalled = false;        // the ledger cannot be written
};
PoolView view_of(Pool& pool, uint64_t now);

// Objects `jobs` (name, round, rounds, accuracy by round, losses, shares, escrow, finished),
// `miners`, `leases` by what became of them, `shares`, `macs_per_second`, `ledger` (records, head),
// `accounts`.
std::string status_json(const PoolView& view);

// A ledger alone, for people or as JSON.
std::string report_text(const LedgerView& view);
std::string report_json(const LedgerView& view);

}  // namespace gemmine::pool
