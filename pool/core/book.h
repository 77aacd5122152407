// The pool's pen: the ledger's state in memory, and the records that are not on disk yet. Pure.
#pragma once

#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/core/totals.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

// The body of a lease, share or verdict record: the signed bytes as a blob (PROTOCOL 8.2).
Bytes signed_body(ByteView signed_bytes);

class Book {
 public:
  // A ledger that was folded from disk; what is appended from now on is fresh.
  explicit Book(verifier::LedgerState state)
      : state_(std::move(state)), totals_(Totals::of(state_)) {}

  // Applies a record, and the post that must follow it. Returns its seq. Errors: those of
  // LedgerState::apply; nothing was appended then. Time never goes back, whatever now_ms says.
  Result<uint64_t> append(verifier::RecordKind kind, Bytes body, uint64_t now_ms);

  // Records since the last call, in order: what the store has to make durable next.
  std::vector<verifier::Record> take_fresh();
  const verifier::LedgerState& state() const { return state_; }
  const Totals& totals() const { return totals_; }

 private:
  Result<uint64_t> apply(verifier::RecordKind kind, Bytes body, uint64_t now_ms);

  verifier::LedgerState state_;
  Totals totals_;
  std::vector<verifier::Record> fresh_;
};

}  // namespace gemmine::pool
