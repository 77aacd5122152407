// What we found of leases against what the pool said of them and did with them. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/audit/replay.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

// A lease about which we and the pool differ, or which the pool pays although it is wrong.
struct Disagreement {
  Digest lease_id;
  uint32_t index = 0;  // of the share that shows it
  std::string what;
  std::optional<verifier::Verdict> said = {};  // by the pool, and not true
};

class Agreement {
 public:
  // Every logged share of the lease is right by our replay.
  void found_right(const Digest& lease_id) { ours_[lease_id] = std::nullopt; }
  // Share `index` is wrong by our replay.
  void found_wrong(const Digest& lease_id, uint32_t index, const verifier::Finding& finding);
  bool knows(const Digest& lease_id) const { return ours_.contains(lease_id); }
  // A verdict that the pool has logged; others decide nothing.
  void pool_said(const verifier::Verdict& verdict);

  // What differs by now and was not told before. A lease that the pool has not judged is held
  // against it once it is paid, or at the end (at_end): then it was complete and is not called
  // wrong.
  std::vector<Disagreement> differences(const verifier::LedgerState& ledger, bool at_end);

 private:
  struct Wrong {
    uint32_t index = 0;
    std::string detail;
  };
  std::map<Digest, std::optional<Wrong>> ours_;       // by lease; nothing: right
  std::map<Digest, verifier::Verdict> pool_replays_;  // the last of each lease
  std::map<Digest, bool> told_;
};

}  // namespace gemmine::pool
