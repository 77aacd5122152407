// What an auditor makes of what it found: accusations, proofs, and words with evidence.
#include "pool/auditor/auditor.h"
#include "pool/auditor/doubts.h"

namespace gemmine::pool {

using verifier::Outcome;

// That nothing is wrong is worth nobody's record: whoever doubts it looks for himself.
void Auditor::on_replayed(const ReplayDone& done) {
  const bool valid = done.finding.outcome == Outcome::valid;
  ++(valid ? report_.shares_valid : report_.shares_invalid);
  const verifier::Lease& lease = ledger_.leases().at(done.lease_id).lease;
  Fields fields = {{"lease", short_hex(done.lease_id)},
                   {"index", std::to_string(done.index)},
                   {"miner", short_hex(lease.miner_key)},
                   {"outcome", std::string(verifier::to_string(done.finding.outcome))}};
  if (!done.finding.detail.empty()) fields.emplace_back("detail", done.finding.detail);
  events_.event(valid ? Level::info : Level::warning, "replayed", std::move(fields));
  if (valid) return;
  agreement_.found_wrong(done.lease_id, done.index, done.finding);
  accuse(done);
  compare(false);
}

// All of its shares are replayed, or one of them was wrong.
void Auditor::on_finished(const Digest& lease_id) {
  ++report_.leases_replayed;
  if (agreement_.knows(lease_id)) return;
  agreement_.found_right(lease_id);
  compare(false);
}

void Auditor::on_proven(const verifier::ProofFinding& finding, const Bytes& file) {
  ++report_.proofs_checked;
  last_change_ms_ = loop_.now_ms();
  const std::string name = "lease-" + short_hex(finding.lease_id) + ".proof";
  events_.event(Level::info, "proof",
                {{"lease", short_hex(finding.lease_id)},
                 {"against", short_hex(finding.accused)},
                 {"proves", finding.words},
                 {"file", evidence_->keep(name, file)}});
}

void Auditor::compare(bool at_end) {
  for (const Disagreement& difference : agreement_.differences(ledger_, at_end)) {
    const Bytes bundle = bundle_of(ledger_, options_.data + "/blobs", difference);
    untrue(difference.what, evidence_->keep("share-" + short_hex(difference.lease_id) + "-" +
                                                std::to_string(difference.index) + ".bin",
                                            bundle));
    if (difference.said)
      report_.evidence.push_back(
          evidence_->keep(proof_name(), doubted_verdict(ledger_, *difference.said)));
  }
}

// Nobody but a replay can tell whether training diverges there: the file is for who runs one.
void Auditor::on_stop_record(const verifier::SignedRecord& record) {
  const std::string file =
      evidence_->keep("stop-" + std::to_string(record.seq) + ".bin", doubted_stop(ledger_, record));
  events_.event(Level::warning, "job_stopped",
                {{"seq", std::to_string(record.seq)},
                 {"file", file},
                 {"check", "gemmine-verify proof FILE --blobs " + options_.data + "/blobs"}});
}

void Auditor::accuse(const ReplayDone& done) {
  const verifier::LeaseState& logged = ledger_.leases().at(done.lease_id);
  verifier::Verdict verdict;
  verdict.lease_id = done.lease_id;
  verdict.index = done.index;
  verdict.share_id = logged.shares[done.index].id;
  verdict.kind = verifier::AuditKind::replay;
  verdict.outcome = done.finding.outcome;
  verdict.step = done.finding.step;
  verdict.time_ms = pool_time_ms_;
  verdict.digest = done.digest;
  verdict.detail = verifier::detail_text(done.finding.detail);
  verifier::sign(verdict, identity_);
  const Bytes bytes = verifier::encode(verdict);
  own_verdicts_.sent({done.lease_id, done.index}, bytes, session_.send(VerdictMessage{bytes}));
}

}  // namespace gemmine::pool
