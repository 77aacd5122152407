#include "pool/core/receipts.h"

namespace gemmine::pool {

using verifier::RecordKind;

void Receipts::take(const verifier::SignedRecord& record) {
  Reader body(record.body);
  if (record.kind == RecordKind::genesis) {
    const auto genesis = decode<verifier::GenesisBody>(record.body);
    GEMMINE_CHECK(genesis.ok());
    pool_key_ = genesis.value().pool_key;
  } else if (record.kind == RecordKind::share) {
    const auto share = verifier::decode_share(body.get_blob(verifier::kShareBytes));
    GEMMINE_CHECK(share.ok());  // the ledger has taken it
    leases_[share.value().lease_id].shares.push_back(record.receipt());
  } else if (record.kind == RecordKind::delta) {
    leases_[body.get_digest()].delta = record.receipt();
  } else if (record.kind == RecordKind::challenge) {
    const auto asked = decode<verifier::ChallengeBody>(record.body);
    GEMMINE_CHECK(asked.ok());
    challenges_[{asked.value().lease_id, asked.value().question}] = record.receipt();
  } else if (record.kind == RecordKind::verdict) {
    const auto verdict = verifier::decode_verdict(body.get_blob(verifier::kVerdictBytesMax));
    GEMMINE_CHECK(verdict.ok());
    if (verdict.value().auditor_key == pool_key_) judge(verdict.value());
  } else if (record.kind == RecordKind::close) {
    leases_.erase(body.get_digest());
  }
}

const verifier::Receipt* Receipts::share(const Digest& lease_id, uint32_t index) const {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end() || index >= found->second.shares.size()) return nullptr;
  return &found->second.shares[index];
}

// A replay answers whatever was asked about the lease.
void Receipts::judge(const verifier::Verdict& verdict) {
  if (verdict.kind != verifier::AuditKind::replay) {
    challenges_.erase({verdict.lease_id, verdict.digest});
    return;
  }
  std::erase_if(challenges_,
                [&](const auto& entry) { return entry.first.first == verdict.lease_id; });
}

const verifier::Receipt* Receipts::challenge(const Digest& lease_id, const Digest& question) const {
  const auto found = challenges_.find({lease_id, question});
  return found == challenges_.end() ? nullptr : &found->second;
}

const verifier::Receipt* Receipts::delta(const Digest& lease_id) const {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end() || !found->second.delta) return nullptr;
  return &*found->second.delta;
}

}  // namespace gemmine::pool
