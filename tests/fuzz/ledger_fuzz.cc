// A stream of records (u32 length, record): whatever it holds, the fold refuses without a trace or
// accepts with the books balanced.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "verifier/ledger/ledger.h"

namespace gv = gemmine::verifier;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gemmine::Reader in(gemmine::ByteView(data, size));
  gv::LedgerState state;
  while (in.ok() && in.rest() > 0) {
    auto record = gv::decode_record(in.get_blob(gv::kRecordBytesMax + 64));
    if (!record) continue;
    // Numbers that would only ever be refused are set right, so that bodies are reached.
    record.value().seq = state.next_seq();
    if (record.value().time_ms < state.last_time_ms())
      record.value().time_ms = state.last_time_ms();
    const auto post = state.expected_post();
    if (post && (data[0] & 1) == 0) {
      record.value().kind = gv::RecordKind::post;
      record.value().body = *post;
    }
    const gemmine::Digest head = state.head();
    const auto accounts = state.accounts();
    const auto status = state.apply(record.value());
    GEMMINE_CHECK(status.ok() == (state.head() != head));
    GEMMINE_CHECK(status.ok() || state.accounts() == accounts);
    int64_t sum = 0;
    for (const auto& [account, amount] : state.accounts()) {
      GEMMINE_CHECK(amount >= 0 || account == "external");
      GEMMINE_CHECK(!__builtin_add_overflow(sum, amount, &sum));
    }
    GEMMINE_CHECK(sum == 0);
    for (const gv::BatchId& id : state.unsettled()) {
      const auto due = state.settlement(id);
      GEMMINE_CHECK(!due || due.value().paid.size() <= state.batch(id)->leases.size());
    }
  }
  return 0;
}
