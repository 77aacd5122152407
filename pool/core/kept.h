// What a pool keeps beside its ledger, under names, as durable as a record: the secrets of coins
// under their commitments, and the digests of a share's steps under the share's id. Pure.
#pragma once

#include <utility>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

// To be done together with the records of the same step.
struct KeptChanges {
  std::vector<std::pair<Digest, Bytes>> put;
  std::vector<Digest> drop;  // names; those that are not there are no failure
  bool empty() const { return put.empty() && drop.empty(); }
};

// Commitments whose secrets a pool with this ledger still has to reveal: of open leases, and of
// batches that are not settled (their first secret, s0).
std::vector<Digest> secrets_needed(const verifier::LedgerState& ledger);

// The digests of a share's steps as bytes, and back; none: the bytes are no digests.
Bytes bytes_of(std::span<const Digest> steps);
std::vector<Digest> digests_of(ByteView bytes);

}  // namespace gemmine::pool
