// The pool's pen: the ledger's state in memory, and the records that are not on disk yet. Pure.
#pragma once

#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/core/receipts.h"
#include "pool/core/totals.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

using verifier::signed_body;

class Book {
 public:
  // A ledger that was folded from disk, and its receipts; what is appended from now on is fresh.
  // `pool` signs it, and outlives the book.
  Book(verifier::LedgerState state, Receipts receipts, const verifier::Identity& pool)
      : pool_(&pool),
        state_(std::move(state)),
        totals_(Totals::of(state_)),
        receipts_(std::move(receipts)) {}

  // Applies a record, and the post that must follow it. Returns its receipt, which is nobody's to
  // see before the record is durable. Errors: those of LedgerState::apply; nothing was appended
  // then. Time never goes back, whatever now_ms says.
  Result<verifier::Receipt> append(verifier::RecordKind kind, Bytes body, uint64_t now_ms);

  // Records since the last take_fresh(), in order.
  std::span<const verifier::SignedRecord> fresh() const { return fresh_; }
  // Records since the last call, in order: what the store has to make durable next.
  std::vector<verifier::SignedRecord> take_fresh();
  const verifier::LedgerState& state() const { return state_; }
  const Totals& totals() const { return totals_; }
  const Receipts& receipts() const { return receipts_; }

 private:
  Result<verifier::Receipt> apply(verifier::RecordKind kind, Bytes body, uint64_t now_ms);

  const verifier::Identity* pool_;
  verifier::LedgerState state_;
  Totals totals_;
  Receipts receipts_;
  std::vector<verifier::SignedRecord> fresh_;
};

}  // namespace gemmine::pool
