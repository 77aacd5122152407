// The pool's signature under its ledger: after every record, over what the whole ledger is then, so
// that it can be held to each word it ever logged (PROTOCOL 8.1).
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/fields.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

// The head after a record, from the one before it. `kind` is the RecordKind as its byte.
Digest next_head(const Digest& head_before, uint64_t seq, uint64_t time_ms, uint8_t kind,
                 ByteView body);

// The head after record `seq`, logged at time_ms. Two of one pool with the same seq and different
// heads prove that it keeps two ledgers, or has rewritten one.
struct SignedHead {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  Digest head;
  Signature signature{};
  bool operator==(const SignedHead&) const = default;

  static constexpr std::string_view kName = "signed head";
  static void fields(auto& f, auto& h) {
    f(h.seq)(h.time_ms)(h.head);
    f.raw(h.signature);
  }
};
inline constexpr size_t kSignedHeadBytes = 8 + 8 + 32 + 64;

Digest head_message(const SignedHead& head);  // what is signed (PROTOCOL 1.3)
void sign(SignedHead& head, const Identity& pool);
bool signed_by(const SignedHead& head, const Digest& pool_key);

// What one who knows a record's kind and body needs to see that the pool has logged it, and to hold
// the pool to it: with them it gives the signed head.
struct Receipt {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  Digest head_before;
  Signature signature{};  // of the head after the record
  bool operator==(const Receipt&) const = default;

  static constexpr std::string_view kName = "receipt";
  static void fields(auto& f, auto& r) {
    f(r.seq)(r.time_ms)(r.head_before);
    f.raw(r.signature);
  }
};
SignedHead head_of(const Receipt& receipt, uint8_t kind, ByteView body);

}  // namespace gemmine::verifier
