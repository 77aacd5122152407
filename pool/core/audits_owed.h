// Audits that are owed: which shares still need a verdict by the pool, and until when. Pure.
#pragma once

#include <map>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/core/actions.h"
#include "verifier/records/records.h"

namespace gemmine::pool {

inline constexpr size_t kAuditsPendingMax = 4096;  // over it, shares are told to come back later
inline constexpr uint64_t kAuditRetryMs = 5'000;   // after an audit that could not be decided

struct ShareKey {
  Digest lease_id;
  uint32_t index = 0;
  auto operator<=>(const ShareKey&) const = default;
};

struct Audit {
  verifier::AuditKind kind = verifier::AuditKind::replay;
  enum class Stage { waiting_answer, running, waiting_retry } stage = Stage::running;
  bool required = true;   // by PROTOCOL 7.2; false: a second look, for which merges wait
  bool doubted = false;   // an auditor says it is wrong: a spot check alone will not do
  uint64_t asked_ms = 0;  // spot: when the challenge was sent first
  uint64_t due_ms = 0;    // of the answer, or of the retry
  Digest seed;            // spot
  // Spot: openings come in the order of their blocks.
  uint32_t blocks = 0;  // wanted
  uint32_t taken = 0;   // of them on disk or on the way to it
  uint32_t had = 0;     // of them on disk
};

class Audits {
 public:
  // Takes the place of an earlier audit of the same share.
  Audit& add(const ShareKey& key, const Audit& audit);
  Audit* find(const ShareKey& key);
  void erase(const ShareKey& key) { pending_.erase(key); }
  void erase_lease(const Digest& lease_id);

  bool full() const { return pending_.size() >= kAuditsPendingMax; }
  size_t size() const { return pending_.size(); }
  // Is a required audit of this lease still owed?
  bool owes(const Digest& lease_id) const;
  // Is an answer of the miner still owed to this share's challenge?
  bool waits(const ShareKey& key) const;
  const std::map<ShareKey, Audit>& pending() const { return pending_; }
  std::vector<ShareKey> of_lease(const Digest& lease_id) const;
  // The same without a copy; valid until something is added or erased.
  struct Range {
    std::map<ShareKey, Audit>::const_iterator first;
    std::map<ShareKey, Audit>::const_iterator last;
    auto begin() const { return first; }
    auto end() const { return last; }
  };
  Range pending_of(const Digest& lease_id) const {
    return {pending_.lower_bound({lease_id, 0}), pending_.upper_bound({lease_id, UINT32_MAX})};
  }

 private:
  std::map<ShareKey, Audit> pending_;
};

}  // namespace gemmine::pool
