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
  Reader reader(record.body);
  Merge merge;
  merge.job_id = reader.get_digest();
  merge.round = reader.get<uint32_t>();
  merge.claimed = reader.get_digest();
  const auto slots = reader.get<uint32_t>();
  for (uint32_t slot = 0; slot < slots; ++slot)
    merge.delta_roots.push_back(*ledger_.leases().at(reader.get_digest()).delta_root);
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
  for (size_t slot = 0; slot < merge.delta_roots.size(); ++slot)
    fetcher_.fetch(merge.delta_roots[slot], verifier::delta_bytes(program.parameters()),
                   [this, slot](Result<Bytes> bytes) {
                     if (bytes) queue_.front().deltas[slot] = bytes.value();
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
  const auto round = verifier::redo_round(work.program(), merge.published, [&](uint32_t slot) {
    return Result<Bytes>(merge.deltas[slot]);
  });
  if (!round) return hooks_.untrue(name + ": " + round.error().detail);
  const Digest& own = round.value().theta_root;
  if (own != merge.claimed)
    return hooks_.untrue(name + " gives " + short_hex(own) + ", the pool says " +
                         short_hex(merge.claimed));
  hooks_.redone(merge.round, own);
}

}  // namespace gemmine::pool
