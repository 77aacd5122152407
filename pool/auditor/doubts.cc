#include "pool/auditor/doubts.h"

#include "kernels/base/files.h"
#include "verifier/audit/bundle.h"
#include "verifier/proof/write_records.h"

namespace gemmine::pool {

Bytes bundle_of(const verifier::LedgerState& ledger, const std::string& blobs,
                const Disagreement& difference) {
  const verifier::LeaseState& logged = ledger.leases().at(difference.lease_id);
  const verifier::Work& work = ledger.jobs().at(logged.lease.job_id).work;
  const uint64_t bytes = work.program().published_floats() * sizeof(float);
  auto theta = read_file(blobs + "/" + to_hex(logged.lease.theta_root.view()), bytes);
  return verifier::encode_bundle({.work = work,
                                  .lease = logged.lease,
                                  .share = logged.shares.at(difference.index).share,
                                  .theta = theta ? std::move(theta.value()) : Bytes{},
                                  .seed = {},
                                  .openings = {},
                                  .verdicts = {}});
}

Bytes doubted_verdict(const verifier::LedgerState& ledger, const verifier::Verdict& said) {
  const verifier::LeaseState& logged = ledger.leases().at(said.lease_id);
  const verifier::Work& work = ledger.jobs().at(logged.lease.job_id).work;
  return verifier::write_doubted_verdict(said,
                                         {work, logged.lease, logged.shares.at(said.index).share});
}

Bytes doubted_stop(const verifier::LedgerState& ledger, const verifier::SignedRecord& stop) {
  const auto body = decode<verifier::StopBody>(stop.body);
  GEMMINE_CHECK(body.ok());  // the fold has accepted it
  const verifier::Statement said{.kind = stop.kind, .body = stop.body, .receipt = stop.receipt()};
  return verifier::write_doubted_stop(ledger.jobs().at(body.value().job_id).work,
                                      ledger.leases().at(body.value().lease_id).lease, said);
}

}  // namespace gemmine::pool
