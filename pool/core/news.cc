#include "pool/core/news.h"

namespace gemmine::pool {

using verifier::RecordKind;

namespace {

bool about_batch(RecordKind kind) {
  return kind == RecordKind::draw || kind == RecordKind::redraw || kind == RecordKind::settle;
}

}  // namespace

void tell_batches(PoolState& pool) {
  std::optional<Digest> settled;  // the key that the record before was a settle of
  for (const verifier::SignedRecord& record : pool.book.fresh()) {
    const bool batch = about_batch(record.kind);
    std::optional<Digest> key = record.kind == RecordKind::post ? settled : std::nullopt;
    if (batch) {
      Reader body(record.body);
      body.get_digest();  // the job
      key = body.get_digest();
    }
    settled = record.kind == RecordKind::settle ? key : std::nullopt;
    if (record.seq < pool.told_seq || !key) continue;
    pool.tell_miner(*key, RecordMessage{record.receipt(), record.kind, record.body});
  }
  pool.told_seq = pool.ledger().next_seq();
}

}  // namespace gemmine::pool
