#include "pool/auditor/merge_watch.h"

#include "pool/log/events.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/write.h"

namespace gemmine::pool {

using verifier::RecordKind;

MergeWatch::MergeWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks)
    : fetcher_(fetcher), ledger_(ledger), hooks_(std::move(hooks)) {
  GEMMINE_CHECK(hooks_.redone && hooks_.untrue && hooks_.unchecked && hooks_.first_theta);
}

// The fold has accepted the record, so its body reads, and a merge's leases have deltas.
void MergeWatch::watch(const verifier::SignedRecord& record) {
  const verifier::Statement said{
      .kind = record.kind, .body = record.body, .receipt = record.receipt()};
  if (record.kind == RecordKind::lease) {
    const auto lease = verifier::decode_lease(Reader(record.body).get_blob(verifier::kLeaseBytes));
    GEMMINE_CHECK(lease.ok());
    watch_lease(lease.value());
  } else if (record.kind == RecordKind::delta) {
    delta_records_.try_emplace(Reader(record.body).get_digest(), said);
  } else if (record.kind == RecordKind::merge) {
    watch_merge(record, said);
  }
}

void MergeWatch::watch_lease(const verifier::Lease& lease) {
  if (lease.round != 0 || !first_seen_.insert(lease.job_id).second) return;
  Merge first;
  first.job_id = lease.job_id;
  first.first = true;
  first.lease_id = lease.id;
  first.before = lease.theta_root;
  first.claimed = lease.theta_root;
  queue_.push_back(std::move(first));
  begin();
}

void MergeWatch::watch_merge(const verifier::Record& record, const verifier::Statement& said) {
  const auto body = decode<verifier::MergeBody>(record.body);
  GEMMINE_CHECK(body.ok());
  Merge merge;
  merge.job_id = body.value().job_id;
  merge.round = body.value().round;
  merge.before = body.value().theta_before;
  merge.claimed = body.value().theta_root;
  merge.counts = {static_cast<uint32_t>(body.value().lease_ids.size()),
                  static_cast<uint32_t>(body.value().subtracted.size())};
  merge.record = said;
  for (const auto* const leases : {&body.value().lease_ids, &body.value().subtracted}) {
    for (const Digest& id : *leases) {
      merge.delta_roots.push_back(*ledger_.leases().at(id).delta_root);
      merge.leases.push_back(id);
    }
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
                   [this, i, turn = turn_](Result<Bytes> bytes) {
                     if (turn != turn_) return;
                     if (bytes) queue_.front().deltas[i] = bytes.value();
                     arrived(bytes, "delta not served");
                   });
  fetcher_.fetch(merge.before, program.published_floats() * sizeof(float),
                 [this, turn = turn_](Result<Bytes> bytes) {
                   if (turn != turn_) return;
                   if (bytes) queue_.front().published = verifier::floats_of(bytes.value());
                   arrived(bytes, "weights not served");
                 });
}

std::string MergeWatch::name_of(const Merge& merge) {
  if (merge.first) return "the first weights";
  return (merge.counts.added == 0 ? "repair of round " : "merge of round ") +
         std::to_string(merge.round);
}

void MergeWatch::arrived(Result<Bytes>& bytes, const char* reason) {
  GEMMINE_CHECK(under_way_ && queue_.front().missing > 0);
  Merge& merge = queue_.front();
  if (!bytes && !merge.failed) {
    merge.failed = true;
    hooks_.unchecked(reason, name_of(merge) + ": " + reason + ": " + bytes.error().detail);
  }
  if (--merge.missing > 0) return;
  if (merge.failed) return next();
  if (merge.first) return compare_first(merge);
  redo(merge);
}

void MergeWatch::next() {
  queue_.pop_front();
  under_way_ = false;
  ++turn_;
  begin();
}

void MergeWatch::compare_first(const Merge& merge) {
  const verifier::Work& work = ledger_.jobs().at(merge.job_id).work;
  const auto chunk = verifier::differing_chunk(
      work.program(), verifier::initial_published(work.program()), merge.published);
  if (chunk) {
    hooks_.untrue(
        "the first weights of job " + short_hex(merge.job_id) + " do not follow from its seed",
        verifier::write_theta0(work, ledger_.leases().at(merge.lease_id).lease, *chunk,
                               as_bytes(std::span<const float>(merge.published))));
  } else {
    hooks_.first_theta(merge.job_id);
  }
  next();
}

void MergeWatch::redo(const Merge& merge) {
  const verifier::Work& work = ledger_.jobs().at(merge.job_id).work;
  auto round = verifier::redo_round(work, merge.published, merge.counts, [&](uint32_t number) {
    return Result<Bytes>(merge.deltas[number]);
  });
  if (!round) {
    hooks_.untrue(name_of(merge) + ": " + round.error().detail, {});
    return next();
  }
  if (round.value().theta_root == merge.claimed) {
    hooks_.redone(merge.round, merge.claimed);
    return next();
  }
  // What the pool published instead shows where it is wrong.
  const std::string what = name_of(merge) + " gives " + short_hex(round.value().theta_root) +
                           ", the pool says " + short_hex(merge.claimed);
  fetcher_.fetch(
      merge.claimed, work.program().published_floats() * sizeof(float),
      [this, what, turn = turn_, own = std::move(round.value().published)](Result<Bytes> bytes) {
        if (turn != turn_) return;
        hooks_.untrue(what, bytes ? proof_of(queue_.front(), own, bytes.value()) : Bytes{});
        next();
      });
}

Bytes MergeWatch::proof_of(const Merge& merge, const std::vector<float>& own,
                           ByteView after) const {
  const verifier::Work& work = ledger_.jobs().at(merge.job_id).work;
  const auto chunk = verifier::differing_chunk(work.program(), own, verifier::floats_of(after));
  GEMMINE_CHECK(chunk);  // their hashes differ
  std::vector<verifier::MergedDelta> deltas;
  for (size_t i = 0; i < merge.leases.size(); ++i)
    deltas.push_back({delta_records_.at(merge.leases[i]), merge.deltas[i]});
  return verifier::write_merge(work, ledger_.pool_key(), *chunk, merge.record,
                               as_bytes(std::span<const float>(merge.published)), after, deltas);
}

void MergeWatch::give_up_all(const std::string& reason) {
  for (const Merge& merge : queue_)
    hooks_.unchecked(reason, name_of(merge));
  queue_.clear();
  under_way_ = false;
  ++turn_;
}

}  // namespace gemmine::pool
