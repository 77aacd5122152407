// The receipts of what miners may still ask about, for who comes back. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/ledger/bodies.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

// As large as the open leases, at most one for each of their shares and one for the delta; and the
// challenges that have no verdict.
class Receipts {
 public:
  // A record that the ledger has taken, in order. A lease that closes is forgotten.
  void take(const verifier::SignedRecord& record);

  // null: the lease is not open, or has no such share or delta yet.
  const verifier::Receipt* share(const Digest& lease_id, uint32_t index) const;
  const verifier::Receipt* delta(const Digest& lease_id) const;
  // Of the challenge with this question about the lease; null when it is judged, or nobody asked.
  const verifier::Receipt* challenge(const Digest& lease_id, const Digest& question) const;

 private:
  void judge(const verifier::Verdict& verdict);

  struct OfLease {
    std::vector<verifier::Receipt> shares;
    std::optional<verifier::Receipt> delta;
  };
  Digest pool_key_;
  std::map<Digest, OfLease> leases_;
  std::map<std::pair<Digest, Digest>, verifier::Receipt> challenges_;  // by lease and question
};

}  // namespace gemmine::pool
