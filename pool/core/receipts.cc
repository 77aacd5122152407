#include "pool/core/receipts.h"

namespace gemmine::pool {

using verifier::RecordKind;

void Receipts::take(const verifier::SignedRecord& record) {
  Reader body(record.body);
  if (record.kind == RecordKind::share) {
    const auto share = verifier::decode_share(body.get_blob(verifier::kShareBytes));
    GEMMINE_CHECK(share.ok());  // the ledger has taken it
    leases_[share.value().lease_id].shares.push_back(record.receipt());
  } else if (record.kind == RecordKind::delta) {
    leases_[body.get_digest()].delta = record.receipt();
  } else if (record.kind == RecordKind::close) {
    leases_.erase(body.get_digest());
  }
}

const verifier::Receipt* Receipts::share(const Digest& lease_id, uint32_t index) const {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end() || index >= found->second.shares.size()) return nullptr;
  return &found->second.shares[index];
}

const verifier::Receipt* Receipts::delta(const Digest& lease_id) const {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end() || !found->second.delta) return nullptr;
  return &*found->second.delta;
}

}  // namespace gemmine::pool
