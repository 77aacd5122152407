// The pool's data folder: keys, certificate, ledger, blobs. `init` makes it; everything else takes
// it as it is and refuses it, by the name of the part, when a part is missing or belongs elsewhere.
#pragma once

#include <span>
#include <string>

#include "kernels/base/folder_lock.h"
#include "kernels/base/result.h"
#include "pool/net/tls.h"
#include "pool/store/blobs.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

inline std::string ledger_path(const std::string& data) {
  return data + "/ledger.sqlite";
}
inline std::string blobs_path(const std::string& data) {
  return data + "/blobs";
}
inline std::string evaluations_path(const std::string& data) {
  return data + "/evaluations";
}

// This process alone in the folder, which is there. Errors: io, busy (another pool has it).
Result<FolderLock> lock_folder(const std::string& data);

// And in the folder of its blobs, which may be a link to another pool's. Errors: io, busy.
Result<FolderLock> lock_blobs(const std::string& data);

// Are all parts there? Errors: io (no such folder, or nothing of a pool is in it), invalid (some
// are, some are missing: which, and what that means).
Status check_parts(const std::string& data);

struct Keys {
  verifier::Identity identity;  // pool.key
  TlsIdentity tls;              // tls.pem
};

// A new pool: folder, keys, certificate, an empty ledger. A pool that is there whole stays as it
// is, and one whose init was cut short is completed. Errors: io, busy, invalid (a part of a pool
// that has begun is missing: a new one would not do).
Result<Keys> init_folder(const std::string& data);

// The keys of a folder that has all its parts. Errors: those of check_parts; io, invalid.
Result<Keys> load_keys(const std::string& data);

// Do the keys belong to this ledger: did pool.key sign it? Errors: invalid, naming the key.
Status check_keys(const Keys& keys, const verifier::LedgerState& state);

// For a ledger that knows no job yet: is there nothing of a pool at work beside it, as there is
// when the folder was copied without the ledger's log? `own` are the blobs that a first start of
// these jobs may have left. Errors: invalid, with what to do.
Status check_nothing_began(const std::string& data, std::span<const Digest> own);

// A new certificate in place of tls.pem, which becomes tls.pem.old; every miner needs the new pin.
// Errors: as load_keys; busy (a pool serves this folder: it would go on with the old one).
Result<Keys> renew_certificate(const std::string& data);

// The ledger as it is on disk, read only. Errors: io, invalid (the detail names the seq).
Result<verifier::LedgerState> read_ledger(const std::string& data);

// A copy of the whole folder, of a pool that runs or not, that can be served as it is. TO is not
// there yet, or empty. Errors: io, invalid.
Status back_up(const std::string& data, const std::string& to);

}  // namespace gemmine::pool
