// Shares as files that anyone judges offline.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "pool/store/ledger_store.h"

namespace gemmine::pool {

// Bundles (verifier/audit/bundle.h) `wrong-*` of every share found wrong, and `share-*` of the
// first share of each complete lease of a job's newest round that has one; at most 64 in all.
// `state` is the store's, folded; `data` the pool's folder. Gives a line for each that was left
// out, because the blobs of its round were dropped, and one when there is none at all. Errors: io,
// invalid (a blob is damaged).
Result<std::vector<std::string>> export_bundles(LedgerStore& store,
                                                const verifier::LedgerState& state,
                                                const std::string& data, const std::string& folder);

}  // namespace gemmine::pool
