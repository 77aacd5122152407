// What an audit has come to. Values only: the auditor counts, the program prints.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/exit_code.h"
#include "verifier/records/head.h"

namespace gemmine::pool {

struct AuditReport {
  uint64_t records = 0;                             // folded: each follows the rules of the ledger
  Digest head;                                      // of the ledger, after the last of them
  std::optional<verifier::SignedHead> signed_head;  // the newest, as the pool signed it
  uint64_t shares_seen = 0;
  uint64_t shares_valid = 0;    // replayed by us
  uint64_t shares_invalid = 0;  // likewise: a miner's claim is wrong, whatever the pool makes of it
  uint64_t merges_redone = 0;
  uint64_t thetas_checked = 0;   // jobs whose first weights follow from their seed
  uint64_t coins_checked = 0;    // leases whose secret fits what was committed to
  uint64_t proofs_checked = 0;   // against miners: the pool logged them, and they prove it
  uint64_t leases_asked = 0;     // that our own coin chose to replay
  uint64_t leases_replayed = 0;  // of them, every share that was logged, or up to a wrong one

  std::string untrue;         // the first thing that the pool says and that is not so; or empty
  uint64_t unchecked = 0;     // things that were to be checked and could not be
  std::string unchecked_why;  // the first of them, with its reason
  std::map<std::string, uint64_t> unchecked_for;  // how many, by reason
  std::vector<std::string> evidence;              // files that anybody can judge, of what is untrue
  uint64_t unlogged = 0;  // verdicts of ours that did not come back in the ledger

  // Why the session ended for good, and the code of that; ok when it did not.
  ExitCode refusal = ExitCode::ok;
  std::string refused_why;

  bool checked_nothing() const {
    return shares_valid + shares_invalid + merges_redone + thetas_checked + coins_checked == 0;
  }
  void add_untrue(const std::string& what) {
    if (untrue.empty()) untrue = what;
  }
  // reason: a few words, the same for all of a kind.
  void add_unchecked(const std::string& reason, const std::string& what) {
    if (unchecked++ == 0) unchecked_why = what;
    ++unchecked_for[reason];
  }
};

struct Conclusion {
  ExitCode code = ExitCode::undecided;
  std::string outcome;  // one word: valid, invalid, undecided or refused
  std::string reason;   // a sentence for people
};

// What is not true outweighs everything; then a pool that would not have us; then what could not be
// checked. An audit that checked nothing decides nothing.
Conclusion conclude(const AuditReport& report);

}  // namespace gemmine::pool
