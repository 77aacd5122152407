// The proofs that a pool says it has (records of kind `proof`): fetched, and decided again. A ban
// or a refusal rests on them, so one that proves nothing is the pool's own untruth.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "pool/client/fetcher.h"
#include "verifier/ledger/ledger.h"
#include "verifier/proof/proof.h"

namespace gemmine::pool {

class ProofWatch {
 public:
  struct Hooks {
    // It convicts whom the record names; the file is for whoever wants to see it.
    std::function<void(const verifier::ProofFinding& finding, const Bytes& file)> proven;
    std::function<void(const std::string& what, const Bytes& file)> untrue;
    std::function<void(const std::string& reason, const std::string& what)> unchecked;
  };
  ProofWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks);

  // A record that the fold has taken, of any kind.
  void watch(const verifier::Record& record);
  size_t owed() const { return owed_.size(); }  // not fetched yet
  void give_up_all(const std::string& reason);

 private:
  void decide(const verifier::ProofBody& body, const Bytes& file);

  Fetcher& fetcher_;
  const verifier::LedgerState& ledger_;
  const Hooks hooks_;
  std::map<Digest, verifier::ProofBody> owed_;  // by address
};

}  // namespace gemmine::pool
