// A ledger store in memory that fails, or takes its time, as long as it is told to.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "pool/store/ledger_store.h"
#include "tests/unit/pool/kept_store.h"

namespace gemmine::pool {

// What the store has and how it behaves: shared with the test, which outlives it.
struct FakeDisk {
  std::atomic<bool> fails = false;
  std::atomic<bool> hangs = false;  // append() does not return
  std::mutex mutex;
  std::vector<verifier::SignedRecord> kept;
  KeptMap beside;  // the ledger

  size_t size() {
    const std::lock_guard lock(mutex);
    return kept.size();
  }
};

class FakeStore final : public LedgerStore {
 public:
  explicit FakeStore(FakeDisk& disk) : disk_(disk) {}

  Status append(std::span<const verifier::SignedRecord> records, const KeptChanges& kept) override {
    while (disk_.hangs)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (disk_.fails) return Error{Errc::io, "disk full"};
    const std::lock_guard lock(disk_.mutex);
    disk_.kept.insert(disk_.kept.end(), records.begin(), records.end());
    change(disk_.beside, kept);
    return Ok{};
  }
  Result<std::vector<verifier::SignedRecord>> read(uint64_t first, size_t count_max,
                                                   size_t /*bytes_max*/) override {
    if (disk_.fails) return Error{Errc::io, "disk full"};
    const std::lock_guard lock(disk_.mutex);
    std::vector<verifier::SignedRecord> out;
    for (uint64_t i = first; i < disk_.kept.size() && out.size() < count_max; ++i)
      out.push_back(disk_.kept[i]);
    return out;
  }
  Status replay(const std::function<Status(const verifier::SignedRecord&)>& take) override {
    for (const verifier::SignedRecord& record : disk_.kept) {
      if (const Status taken = take(record); !taken) return taken;
    }
    return Ok{};
  }
  Result<Bytes> kept(const Digest& name) override {
    const std::lock_guard lock(disk_.mutex);
    const auto found = disk_.beside.find(name);
    if (found == disk_.beside.end()) return Error{Errc::io, "nothing is kept under this name"};
    return found->second;
  }
  Result<uint64_t> size() override { return disk_.size(); }

 private:
  FakeDisk& disk_;
};

}  // namespace gemmine::pool
