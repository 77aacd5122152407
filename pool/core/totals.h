// What happened so far, in sums: kept record by record, so that nobody has to scan the ledger.
// Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "kernels/base/bytes.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

inline constexpr size_t kLossesKept = 50;

// Leases by what became of them. "Wrong" once is wrong for ever.
struct LeaseCounts {
  uint64_t all = 0;  // open ones too
  uint64_t complete = 0;
  uint64_t audited = 0;  // by the pool, and found right or wrong
  uint64_t wrong = 0;
  uint64_t paid = 0;
  bool operator==(const LeaseCounts&) const = default;
};

struct MinerTotals {
  LeaseCounts leases;
  uint64_t shares = 0;
  uint64_t macs = 0;   // of its shares
  uint64_t gross = 0;  // tokens of its paid leases
  bool operator==(const MinerTotals&) const = default;
};

struct JobTotals {
  uint64_t shares = 0;
  uint64_t steps = 0;
  uint64_t gross = 0;
  std::deque<float> losses;  // of the last kLossesKept shares, in the ledger's order
  bool operator==(const JobTotals&) const = default;
};

class Totals {
 public:
  Totals() = default;
  // Of a ledger that was folded: the one scan.
  static Totals of(const verifier::LedgerState& state);

  // A record goes by in two steps. before() looks at the state it is going to change; after(), when
  // the state has taken it, counts. Nothing is counted for a record that was refused.
  void before(const verifier::Record& record, const verifier::LedgerState& state);
  void after(const verifier::Record& record, const verifier::LedgerState& state);

  const LeaseCounts& leases() const { return leases_; }
  uint64_t shares() const { return shares_; }
  // By key, and by job id: those that had a lease.
  const std::map<Digest, MinerTotals>& miners() const { return miners_; }
  const std::map<Digest, JobTotals>& jobs() const { return jobs_; }
  bool operator==(const Totals&) const = default;

 private:
  struct Judged {
    bool audited = false;
    bool wrong = false;
    bool operator==(const Judged&) const = default;
  };
  static Judged judged(const verifier::LedgerState& state, const verifier::LeaseState& lease);
  void count_share(const Digest& miner, const Digest& job, const verifier::Share& share);
  void count_judged(const Digest& miner, Judged from, Judged to);
  void count_paid(const verifier::LedgerState& state, const verifier::LeaseState& lease);

  LeaseCounts leases_;
  uint64_t shares_ = 0;
  std::map<Digest, MinerTotals> miners_;
  std::map<Digest, JobTotals> jobs_;
  std::optional<Judged> judged_before_;  // the lease of a verdict that goes by
};

}  // namespace gemmine::pool
