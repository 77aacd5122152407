#include "pool/core/book.h"

#include <algorithm>
#include <utility>

namespace gemmine::pool {

using verifier::RecordKind;

Result<verifier::Receipt> Book::append(RecordKind kind, Bytes body, uint64_t now_ms) {
  auto receipt = apply(kind, std::move(body), now_ms);
  if (!receipt) return receipt;
  if (auto post = state_.expected_post()) {
    const auto posted = apply(RecordKind::post, std::move(*post), now_ms);
    GEMMINE_CHECK(posted.ok());  // the ledger asked for exactly these bytes
  }
  return receipt;
}

Result<verifier::Receipt> Book::apply(RecordKind kind, Bytes body, uint64_t now_ms) {
  verifier::Record made;
  made.seq = state_.next_seq();
  made.time_ms = std::max(now_ms, state_.last_time_ms());
  made.kind = kind;
  made.body = std::move(body);
  verifier::SignedRecord record = verifier::sign_next(std::move(made), state_, *pool_);
  totals_.before(record, state_);
  if (const Status applied = state_.apply(record); !applied) return applied.error();
  totals_.after(record, state_);
  receipts_.take(record);
  fresh_.push_back(std::move(record));
  return fresh_.back().receipt();
}

std::vector<verifier::SignedRecord> Book::take_fresh() {
  return std::exchange(fresh_, {});
}

}  // namespace gemmine::pool
