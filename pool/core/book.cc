#include "pool/core/book.h"

#include <algorithm>
#include <utility>

namespace gemmine::pool {

using verifier::RecordKind;

Bytes signed_body(ByteView signed_bytes) {
  return Writer().put_blob(signed_bytes).take();
}

Result<uint64_t> Book::append(RecordKind kind, Bytes body, uint64_t now_ms) {
  auto seq = apply(kind, std::move(body), now_ms);
  if (!seq) return seq;
  if (auto post = state_.expected_post()) {
    const auto posted = apply(RecordKind::post, std::move(*post), now_ms);
    GEMMINE_CHECK(posted.ok());  // the ledger asked for exactly these bytes
  }
  return seq;
}

Result<uint64_t> Book::apply(RecordKind kind, Bytes body, uint64_t now_ms) {
  verifier::Record record;
  record.seq = state_.next_seq();
  record.time_ms = std::max(now_ms, state_.last_time_ms());
  record.kind = kind;
  record.body = std::move(body);
  totals_.before(record, state_);
  if (const Status applied = state_.apply(record); !applied) return applied.error();
  totals_.after(record, state_);
  fresh_.push_back(std::move(record));
  return fresh_.back().seq;
}

std::vector<verifier::Record> Book::take_fresh() {
  return std::exchange(fresh_, {});
}

}  // namespace gemmine::pool
