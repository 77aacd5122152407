#include "pool/auditor/proof_watch.h"

#include "pool/log/events.h"

namespace gemmine::pool {

namespace {

std::string name_of(const verifier::ProofBody& body) {
  return "the proof about lease " + short_hex(body.lease_id);
}

}  // namespace

ProofWatch::ProofWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks)
    : fetcher_(fetcher), ledger_(ledger), hooks_(std::move(hooks)) {
  GEMMINE_CHECK(hooks_.proven && hooks_.untrue && hooks_.unchecked);
}

void ProofWatch::watch(const verifier::Record& record) {
  if (record.kind != verifier::RecordKind::proof) return;
  const auto body = decode<verifier::ProofBody>(record.body);
  GEMMINE_CHECK(body.ok());  // the fold has accepted it
  const Digest address = body.value().address;
  owed_[address] = body.value();
  fetcher_.fetch(address, body.value().bytes, [this, address](Result<Bytes> file) {
    const auto found = owed_.extract(address);
    if (found.empty()) return;  // given up meanwhile
    if (file) return decide(found.mapped(), file.value());
    hooks_.unchecked("a proof is not served",
                     name_of(found.mapped()) + " is not served: " + file.error().detail);
  });
}

void ProofWatch::decide(const verifier::ProofBody& body, const Bytes& file) {
  const auto finding = verifier::decide_proof(file, ledger_.pool_key());
  if (!finding) return hooks_.untrue(name_of(body) + " is none: " + finding.error().detail, file);
  const verifier::ProofFinding& found = finding.value();
  if (!found.proven) return hooks_.untrue(name_of(body) + " proves nothing: " + found.words, file);
  if (found.kind != body.kind || found.lease_id != body.lease_id)
    return hooks_.untrue(name_of(body) + " is about something else", file);
  hooks_.proven(found, file);
}

void ProofWatch::give_up_all(const std::string& reason) {
  for (const auto& [address, body] : owed_)
    hooks_.unchecked(reason, name_of(body) + ": " + reason);
  owed_.clear();
}

}  // namespace gemmine::pool
