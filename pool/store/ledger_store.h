// Where the ledger is kept: records are appended, read and replayed (PROTOCOL 8.1). A backend is a
// file that fills in these functions; tests/unit/pool/store/ledger_store_test.cc says if it may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/base/result.h"
#include "pool/core/kept.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

// Blocks as long as its disk or its network does. One thread at a time uses it.
class LedgerStore {
 public:
  virtual ~LedgerStore() = default;

  // The records size(), size() + 1, …, and changes of what is kept beside them. All of it is
  // durable when it says Ok, none of it when it does not. Errors: io (disk full, read-only, locked,
  // out of reach): the same again, later.
  virtual Status append(std::span<const verifier::SignedRecord> records,
                        const KeptChanges& kept) = 0;
  Status append(std::span<const verifier::SignedRecord> records) { return append(records, {}); }

  // What is kept under a name. Errors: io, also when there is nothing.
  virtual Result<Bytes> kept(const Digest& name) = 0;

  // Records first, first + 1, … as far as there are any: at most count_max, and none after those
  // that have bytes_max bytes together. Errors: io.
  virtual Result<std::vector<verifier::SignedRecord>> read(uint64_t first, size_t count_max,
                                                           size_t bytes_max) = 0;

  // Gives every record in order to `take`, checking seq and the chained heads. Stops at the first
  // error of `take`. Errors: io; invalid, naming the seq of a record that is missing, edited or of
  // another head.
  virtual Status replay(const std::function<Status(const verifier::SignedRecord&)>& take) = 0;

  // How many records there are. Errors: io.
  virtual Result<uint64_t> size() = 0;
};

// Replays a whole ledger into `state` and checks that the accounts sum to zero and that the pool
// signed the last head, and with it all that is before. `seen` is told of every record.
// Errors: io, invalid (the detail names the seq).
Status fold(LedgerStore& store, verifier::LedgerState& state,
            const std::function<void(const verifier::SignedRecord&)>& seen = {});

}  // namespace gemmine::pool
