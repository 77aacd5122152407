// The merges that an auditor redoes (PROTOCOL 8.3), one after the other: from the published weights
// and the deltas of a round follow those of the next.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "pool/client/fetcher.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/records.h"

namespace gemmine::pool {

class MergeWatch {
 public:
  struct Hooks {
    std::function<void(uint32_t round, const Digest& theta_root)> redone;
    std::function<void(const std::string& what)> untrue;
    std::function<void(const std::string& what)> unchecked;
  };
  MergeWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks);

  // A merge record that the ledger has accepted.
  void watch(const verifier::Record& record);

  // Not redone yet. Each needs the pool until its parts are here.
  size_t owed() const { return queue_.size(); }

 private:
  struct Merge {
    Digest job_id;
    uint32_t round = 0;
    Digest claimed;
    uint32_t subtracted = 0;
    std::vector<Digest> delta_roots;  // in the order of the record: by slot, then subtracted
    std::vector<Bytes> deltas;        // those that are here, likewise
    std::vector<float> published;     // weights of the round
    bool failed = false;
    size_t missing = 0;
  };

  void begin();
  void arrived(Result<Bytes>& bytes, const char* what);
  void redo(const Merge& merge);

  Fetcher& fetcher_;
  const verifier::LedgerState& ledger_;
  const Hooks hooks_;
  std::deque<Merge> queue_;  // the first is under way
  bool under_way_ = false;
};

}  // namespace gemmine::pool
