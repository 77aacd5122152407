// The ledger in a file: one append-only SQLite table, and one of what is kept beside it; one
// transaction a step (PROTOCOL 8.1).
#pragma once

#include <memory>
#include <string>

#include "pool/store/ledger_store.h"

namespace gemmine::pool {

class SqliteStore final : public LedgerStore {
 public:
  // A new, empty ledger. Errors: io, also when there is a file already.
  static Result<std::unique_ptr<SqliteStore>> make(const std::string& path);

  // To append to: WAL and synchronous=FULL, so that what append() said Ok to survives a power cut.
  // Closing it folds the WAL into the file. Errors: io (none there, locked, no permission).
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path);

  // To look at, beside a pool that runs or alone: also from read-only media, or without the right
  // to write. Leaves no file behind that was not there. Errors: io.
  static Result<std::unique_ptr<SqliteStore>> open_to_read(const std::string& path);

  // A consistent copy of a ledger that may be written meanwhile, as a new file. Errors: io.
  static Status copy(const std::string& from, const std::string& to);

  using LedgerStore::append;
  Status append(std::span<const verifier::SignedRecord> records, const KeptChanges& kept) override;
  Result<Bytes> kept(const Digest& name) override;
  Result<std::vector<verifier::SignedRecord>> read(uint64_t first, size_t count_max,
                                                   size_t bytes_max) override;
  Status replay(const std::function<Status(const verifier::SignedRecord&)>& take) override;
  Result<uint64_t> size() override;

  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;
  ~SqliteStore() override;

  struct Data;  // sqlite_store.cc's

 private:
  explicit SqliteStore(std::unique_ptr<Data> data);
  const std::unique_ptr<Data> data_;
};

}  // namespace gemmine::pool
