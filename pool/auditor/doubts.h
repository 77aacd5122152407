// Files by which others can tell, with a replay of their own, whether the pool's word is true.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "pool/auditor/agreement.h"
#include "verifier/ledger/ledger.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

// The share that shows it, with the weights it starts from where the folder of blobs has them:
// whoever replays it sees who is right.
Bytes bundle_of(const verifier::LedgerState& ledger, const std::string& blobs,
                const Disagreement& difference);
// The pool's word about a share of the ledger, and where it stopped a job (PROTOCOL 12.9).
Bytes doubted_verdict(const verifier::LedgerState& ledger, const verifier::Verdict& said);
Bytes doubted_stop(const verifier::LedgerState& ledger, const verifier::SignedRecord& stop);

}  // namespace gemmine::pool
