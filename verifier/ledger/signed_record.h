// A record as a pool stores, sends and exports it: with its signature under the ledger so far.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/head.h"

namespace gemmine::verifier {

// Passes for the record wherever only that is wanted.
struct SignedRecord : Record {
  Digest head_before;
  Signature signature{};  // by the pool, of the head after the record (PROTOCOL 8.1)

  Receipt receipt() const { return {seq, time_ms, head_before, signature}; }
};

// The record signed as the next one of `before`. It is not applied.
SignedRecord sign_next(Record record, const LedgerState& before, const Identity& pool);

// The head that follows from all records so far, as this signature signs it. The ledger is not
// empty.
SignedHead signed_head(const LedgerState& state, const Signature& signature);

// Did the pool that this ledger names in its first record sign the head after its last one? The
// ledger is not empty. Errors: invalid, naming the seq.
Status check_signature(const LedgerState& state, const Signature& signature);

}  // namespace gemmine::verifier
