#include "pool/auditor/agreement.h"

#include "pool/log/events.h"

namespace gemmine::pool {

using verifier::CloseReason;
using verifier::LeaseState;
using verifier::Outcome;

void Agreement::found_wrong(const Digest& lease_id, uint32_t index,
                            const verifier::Finding& finding) {
  ours_[lease_id] = Wrong{index, finding.detail};
}

void Agreement::pool_said(const verifier::Verdict& verdict) {
  if (verdict.kind == verifier::AuditKind::replay && verdict.outcome != Outcome::undecided)
    pool_replays_.insert_or_assign(verdict.lease_id, verdict);
}

std::vector<Disagreement> Agreement::differences(const verifier::LedgerState& ledger, bool at_end) {
  std::vector<Disagreement> out;
  const auto tell = [&](const Digest& lease_id, uint32_t index, const std::string& what,
                        std::optional<verifier::Verdict> said = {}) {
    if (!told_[lease_id]) out.push_back({lease_id, index, what, std::move(said)});
    told_[lease_id] = true;
  };
  for (const auto& [id, wrong] : ours_) {
    const LeaseState& lease = ledger.leases().at(id);
    const std::string name = "lease " + short_hex(id);
    const auto said = pool_replays_.find(id);
    const bool judged = said != pool_replays_.end();
    const bool pool_wrong = lease.wrong.has_value() || lease.proof.has_value();
    if (!wrong) {
      if (judged && said->second.outcome == Outcome::invalid)
        tell(id, said->second.index, "the pool's replay found " + name + " wrong, ours right",
             said->second);
      continue;
    }
    const std::string place = name + ", share " + std::to_string(wrong->index) + ": " +
                              (wrong->detail.empty() ? "wrong" : wrong->detail);
    if (judged && said->second.outcome == Outcome::valid) {
      tell(id, wrong->index, "the pool's replay found a lease right that is wrong: " + place,
           said->second);
    } else if (lease.paid) {
      tell(id, wrong->index, "the pool paid a lease that is wrong: " + place);
    } else if (at_end && lease.closed == CloseReason::complete && !pool_wrong) {
      tell(id, wrong->index, "the pool keeps a lease that is wrong: " + place);
    }
  }
  return out;
}

}  // namespace gemmine::pool
