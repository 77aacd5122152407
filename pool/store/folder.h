// The pool's data folder: lock, keys, ledger, blobs.
#pragma once

#include <string>

#include "kernels/base/folder_lock.h"
#include "kernels/base/result.h"
#include "pool/net/tls.h"
#include "pool/store/blobs.h"
#include "pool/store/sqlite_store.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

inline std::string ledger_path(const std::string& data) {
  return data + "/ledger.sqlite";
}
inline std::string blobs_path(const std::string& data) {
  return data + "/blobs";
}

// The folder, made when it is not there, and this process alone in it.
// Errors: io, busy (another pool has it).
Result<FolderLock> lock_folder(const std::string& data);

struct Keys {
  verifier::Identity identity;  // pool.key
  Digest coin_master;           // coin.key: whoever has it knows every challenge before it is drawn
  TlsIdentity tls;              // tls.pem
};
// Makes what is missing. Errors: io, invalid.
Result<Keys> load_keys(const std::string& data);

// The ledger as it is on disk, read only. Errors: io, invalid (the detail names the seq).
Result<verifier::LedgerState> read_ledger(const std::string& data);

// Bundles (verifier/audit/bundle.h) `wrong-*` of every share found wrong, and `share-*` of the
// first share of each lease of a finished job's last round; at most 64 in all. Errors: io.
Status export_bundles(Store& store, const verifier::LedgerState& state, const std::string& data,
                      const std::string& folder);

}  // namespace gemmine::pool
