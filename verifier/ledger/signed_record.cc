#include "verifier/ledger/signed_record.h"

#include <utility>

namespace gemmine::verifier {

SignedRecord sign_next(Record record, const LedgerState& before, const Identity& pool) {
  SignedRecord out{std::move(record), before.head(), {}};
  SignedHead head{.seq = out.seq, .time_ms = out.time_ms, .head = next_head(out.head_before, out)};
  sign(head, pool);
  out.signature = head.signature;
  return out;
}

SignedHead signed_head(const LedgerState& state, const Signature& signature) {
  GEMMINE_CHECK(state.next_seq() > 0);
  return {.seq = state.next_seq() - 1,
          .time_ms = state.last_time_ms(),
          .head = state.head(),
          .signature = signature};
}

Status check_signature(const LedgerState& state, const Signature& signature) {
  const SignedHead head = signed_head(state, signature);
  if (signed_by(head, state.pool_key())) return Ok{};
  return Error{Errc::invalid,
               "record " + std::to_string(head.seq) +
                   ": the pool has not signed the ledger as it is up to here: it was edited, or is "
                   "another pool's"};
}

}  // namespace gemmine::verifier
