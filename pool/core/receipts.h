// The receipts of what open leases have in the ledger, for who sends it again. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

// As large as the open leases: at most one for each of their shares, and one for the delta.
class Receipts {
 public:
  // A record that the ledger has taken, in order. A lease that closes is forgotten.
  void take(const verifier::SignedRecord& record);

  // null: the lease is not open, or has no such share or delta yet.
  const verifier::Receipt* share(const Digest& lease_id, uint32_t index) const;
  const verifier::Receipt* delta(const Digest& lease_id) const;

 private:
  struct OfLease {
    std::vector<verifier::Receipt> shares;
    std::optional<verifier::Receipt> delta;
  };
  std::map<Digest, OfLease> leases_;
};

}  // namespace gemmine::pool
