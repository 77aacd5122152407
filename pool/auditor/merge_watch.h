// The merges that an auditor redoes (PROTOCOL 8.3), one after the other: from the published weights
// and the deltas of a round follow those of the next.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pool/client/fetcher.h"
#include "verifier/ledger/ledger.h"
#include "verifier/ledger/signed_record.h"
#include "verifier/merge/round.h"
#include "verifier/proof/evidence.h"
#include "verifier/records/records.h"

namespace gemmine::pool {

class MergeWatch {
 public:
  struct Hooks {
    std::function<void(uint32_t round, const Digest& theta_root)> redone;
    // evidence: a proof of it (PROTOCOL 12.5, 12.6), empty where there is none.
    std::function<void(const std::string& what, const Bytes& evidence)> untrue;
    std::function<void(const std::string& reason, const std::string& what)> unchecked;
    std::function<void(const Digest& job_id)> first_theta;  // it follows from the job's seed
  };
  MergeWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks);

  // A record that the ledger has accepted. A job's first weights are checked against its seed when
  // the first lease of round 0 is there, which binds the pool to them; a merge is redone.
  void watch(const verifier::SignedRecord& record);
  // Nothing that is still owed will come.
  void give_up_all(const std::string& reason);

  // Not redone yet. Each needs the pool until its parts are here.
  size_t owed() const { return queue_.size(); }

 private:
  struct Merge {
    Digest job_id;
    uint32_t round = 0;
    bool first = false;  // no merge: the weights of round 0 are looked at
    Digest lease_id;     // of the first weights: one of round 0
    Digest before;       // root of the weights that it began with
    Digest claimed;
    verifier::MergeCounts counts;
    verifier::Statement record;
    std::vector<Digest> leases;       // in the order of the record: by slot, then subtracted
    std::vector<Digest> delta_roots;  // likewise
    std::vector<Bytes> deltas;        // those that are here, likewise
    std::vector<float> published;     // weights of the round
    bool failed = false;
    size_t missing = 0;
  };

  static std::string name_of(const Merge& merge);
  void watch_lease(const verifier::Lease& lease);
  void watch_merge(const verifier::Record& record, const verifier::Statement& said);
  void begin();
  void arrived(Result<Bytes>& bytes, const char* reason);
  void next();
  void compare_first(const Merge& merge);
  void redo(const Merge& merge);
  Bytes proof_of(const Merge& merge, const std::vector<float>& own, ByteView after) const;

  Fetcher& fetcher_;
  const verifier::LedgerState& ledger_;
  const Hooks hooks_;
  std::deque<Merge> queue_;  // the first is under way
  bool under_way_ = false;
  uint64_t turn_ = 0;  // of what is under way: downloads for an earlier one count no more
  std::map<Digest, verifier::Statement> delta_records_;  // by lease
  std::set<Digest> first_seen_;                          // jobs whose first weights were looked at
};

}  // namespace gemmine::pool
