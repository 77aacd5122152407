// The ledger on disk: one append-only SQLite table, one transaction a loop turn (PROTOCOL 8.1).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/ledger/ledger.h"

namespace gemmine::pool {

class Store {
 public:
  enum class Mode { create, read_only };
  // WAL and synchronous=FULL: what append() said Ok to survives a power cut. Errors: io.
  static Result<Store> open(const std::string& path, Mode mode);

  // All of them durable, or none. Errors: io (disk full, read-only, locked): try again later.
  Status append(std::span<const verifier::Record> records);

  // Records first, first + 1, … as far as they are durable: at most count_max, and none after those
  // that have bytes_max bytes together. Errors: io.
  Result<std::vector<verifier::Record>> read(uint64_t first, size_t count_max, size_t bytes_max);
  // How many records there are. Errors: io.
  Result<uint64_t> size();

  // Reads every record in order and gives it to `take`, checking seq and the chained heads. Stops
  // at the first error of `take`. Errors: io; invalid naming the seq of a record that is missing,
  // edited or of another head.
  Status replay(const std::function<Status(const verifier::Record&)>& take);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

 private:
  struct Data;
  explicit Store(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

// Replays a whole ledger into `state` and checks that the accounts sum to zero.
// Errors: io, invalid (the detail names the seq).
Status fold(Store& store, verifier::LedgerState& state);

}  // namespace gemmine::pool
