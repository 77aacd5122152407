// A store of which only what is kept beside the ledger can be read: for audits in tests.
#pragma once

#include <map>
#include <memory>

#include "pool/store/ledger_store.h"

namespace gemmine::pool {

using KeptMap = std::map<Digest, Bytes>;

inline void change(KeptMap& map, KeptChanges changes) {
  for (auto& [name, bytes] : changes.put)
    map.insert_or_assign(name, std::move(bytes));
  for (const Digest& name : changes.drop)
    map.erase(name);
}

class KeptStore final : public LedgerStore {
 public:
  explicit KeptStore(const KeptMap& map) : map_(map) {}

  Result<Bytes> kept(const Digest& name) override {
    const auto found = map_.find(name);
    if (found == map_.end()) return Error{Errc::io, "nothing is kept under this name"};
    return found->second;
  }
  Status append(std::span<const verifier::SignedRecord> /*records*/,
                const KeptChanges& /*kept*/) override {
    return Error{Errc::io, "only to read"};
  }
  Result<std::vector<verifier::SignedRecord>> read(uint64_t /*first*/, size_t /*count_max*/,
                                                   size_t /*bytes_max*/) override {
    return Error{Errc::io, "no records"};
  }
  Status replay(const std::function<Status(const verifier::SignedRecord&)>& /*take*/) override {
    return Error{Errc::io, "no records"};
  }
  Result<uint64_t> size() override { return uint64_t{0}; }

 private:
  const KeptMap& map_;
};

// map outlives what it opens.
inline auto open_kept(const KeptMap& map) {
  return [&map] { return Result<std::unique_ptr<LedgerStore>>(std::make_unique<KeptStore>(map)); };
}

}  // namespace gemmine::pool
