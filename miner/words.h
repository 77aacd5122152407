// The pool's words are checked before they count, and those about leases of ours are kept.
#pragma once

#include <span>
#include <string_view>

#include "miner/state.h"

namespace gemmine::miner {

// For later, and for others: among the receipts of the lease. What cannot be kept is told once.
void keep_word(State& state, const Digest& lease_id, const verifier::Statement& word);

// Does the pool's signature stand under this record of its ledger? Then it is kept for each of the
// leases that there are receipts of. If not, or when it contradicts what the pool has signed, what
// it says binds it to nothing, and it is no pool to work for: false. `what` is for a person.
bool vouched(State& state, std::string_view what, std::span<const Digest> lease_ids,
             const verifier::Receipt& receipt, verifier::RecordKind kind, const Bytes& body);
inline bool vouched(State& state, std::string_view what, const Digest& lease_id,
                    const verifier::Receipt& receipt, verifier::RecordKind kind,
                    const Bytes& body) {
  return vouched(state, what, std::span(&lease_id, 1), receipt, kind, body);
}

}  // namespace gemmine::miner
