#include "pool/auditor/merge_watch.h"

#include "pool/log/events.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::pool {

MergeWatch::MergeWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks)
    : fetcher_(fetcher), ledger_(ledger), hooks_(std::move(hooks)) {
  GEMMINE_CHECK(hooks_.redone && hooks_.untrue && hooks_.unchecked);
}

void MergeWatch::watch(const verifier::Record& record) {
  GEMMINE_CHECK(record.kind == verifier::RecordKind::merge);
  // The fold has accepted it, so its body reads, and its leases have deltas.
  const auto body = decode<verifier::MergeBody>(record.body);
  GEMMINE_CHECK(body.ok());
  Merge merge;
  merge.job_id = body.value().job_id;
  merge.round = body.value().round;
  merge.claimed = body.value().theta_root;
  merge.subtracted = static_cast<uint32_t>(body.value().subtracted.size());
  for (const auto* const leases : {&body.value().lease_ids, &body.value().subtracted}) {
    for (const Digest& id : *leases)
      merge.delta_roots.push_back(*ledger_.leases().at(id).delta_root);
  }
  queue_.push_back(std::move(merge));
  begin();
}

// Begins the first of the queue, unless it is under way.
void MergeWatch::begin() {
  if (under_way_ || queue_.empty()) return;
  under_way_ = true;
  Merge& merge = queue_.front();
  const verifier::JobState& job = ledger_.jobs().at(merge.job_id);
  const kernels::Program& program = job.work.program();
  merge.missing = merge.delta_roots.size() + 1;
  merge.deltas.resize(merge.delta_roots.size());
  for (size_t i = 0; i < merge.delta_roots.size(); ++i)
    fetcher_.fetch(merge.delta_roots[i], verifier::delta_bytes(program.parameters()),
                   [this, i](Result<Bytes> bytes) {
                     if (bytes) queue_.front().deltas[i] = bytes.value();
                     arrived(bytes, "delta: ");
                   });
  fetcher_.fetch(job.theta_roots[merge.round], program.published_floats() * sizeof(float),
                 [this](Result<Bytes> bytes) {
                   if (bytes) queue_.front().published = verifier::floats_of(bytes.value());
                   arrived(bytes, "weights: ");
                 });
}

void MergeWatch::arrived(Result<Bytes>& bytes, const char* what) {
  GEMMINE_CHECK(under_way_ && queue_.front().missing > 0);
  Merge& merge = queue_.front();
  if (!bytes && !merge.failed) {
    merge.failed = true;
    hooks_.unchecked("merge of round " + std::to_string(merge.round) + ": " + what +
                     bytes.error().detail);
  }
  if (--merge.missing > 0) return;
  if (!merge.failed) redo(merge);
  queue_.pop_front();
  under_way_ = false;
  begin();
}

void MergeWatch::redo(const Merge& merge) {
  const std::string name = "merge of round " + std::to_string(merge.round);
  const verifier::Work& work = ledger_.jobs().at(merge.job_id).work;
  const auto round =
      verifier::redo_round(work, merge.published, merge.subtracted,
                           [&](uint32_t number) { return Result<Bytes>(merge.deltas[number]); });
  if (!round) return hooks_.untrue(name + ": " + round.error().detail);
  const Digest& own = round.value().theta_root;
  if (own != merge.claimed)
    return hooks_.untrue(name + " gives " + short_hex(own) + ", the pool says " +
                         short_hex(merge.claimed));
  hooks_.redone(merge.round, own);
}

}  // namespace gemmine::pool
