#include "pool/core/jobs.h"

#include <algorithm>

#include "pool/core/terms.h"

namespace gemmine::pool {

using verifier::JobState;
using verifier::LedgerState;
using verifier::RecordKind;
using verifier::Work;

namespace {

// What is trained, without how it is paid and looked at.
Bytes work_alone(const Work& work) {
  verifier::Job job = work.job();
  job.audit = {};
  job.price_per_tmac = 0;
  job.fee_ppm = 0;
  job.steps_per_share = 1;
  return verifier::encode_job(job);
}

// `key 1 -> 2` for each term in which the two differ.
std::string differences(const verifier::Job& old, const verifier::Job& now) {
  std::string out;
  const auto compare = [&](const char* key, auto before, auto after) {
    if (before == after) return;
    out += (out.empty() ? "" : ", ") + std::string(key) + " " + std::to_string(before) + " -> " +
           std::to_string(after);
  };
  compare("price_per_tmac", old.price_per_tmac, now.price_per_tmac);
  compare("fee_ppm", old.fee_ppm, now.fee_ppm);
  compare("steps_per_share", old.steps_per_share, now.steps_per_share);
  compare("batch_leases", old.audit.batch_leases, now.audit.batch_leases);
  compare("first_batch", old.audit.first_batch, now.audit.first_batch);
  compare("threads", old.audit.threads, now.audit.threads);
  compare("thread_blocks", old.audit.thread_blocks, now.audit.thread_blocks);
  compare("replays_ppm", old.audit.replays_ppm, now.audit.replays_ppm);
  compare("first_audits", old.audit.first_audits, now.audit.first_audits);
  compare("now_ppm", old.audit.now_ppm, now.audit.now_ppm);
  compare("fail_ppm", old.audit.fail_ppm, now.audit.fail_ppm);
  compare("silent_free", old.audit.silent_free, now.audit.silent_free);
  compare("lease_ms", old.audit.lease_ms, now.audit.lease_ms);
  compare("answer_ms", old.audit.answer_ms, now.audit.answer_ms);
  compare("delta_max", old.audit.delta_max, now.audit.delta_max);
  return out;
}

Status fill_escrow(PoolState& pool, const Digest& job_id, uint64_t fund, uint64_t now) {
  const JobState& job = pool.ledger().jobs().at(job_id);
  const auto account = pool.ledger().accounts().find("escrow:" + to_hex(job_id.bytes));
  const int64_t there = account == pool.ledger().accounts().end() ? 0 : account->second;
  GEMMINE_CHECK(there >= 0);
  const uint64_t missing =
      fund > static_cast<uint64_t>(there) ? fund - static_cast<uint64_t>(there) : 0;
  if (job.finished || fund == 0) return Ok{};
  if (missing > 0) {
    const auto funded = pool.book.append(
        RecordKind::fund, verifier::encode(verifier::FundBody{job_id, missing}), now);
    if (!funded) return funded.error();
  }
  pool.out.note("job_funded", {{"job", job.work.job().name},
                               {"id", short_hex(job_id)},
                               {"added", std::to_string(missing)},
                               {"escrow", std::to_string(static_cast<uint64_t>(there) + missing)}});
  return Ok{};
}

// Said at every start: a job that cannot be paid to its end stops midway, and nobody sees why.
void warn_of_escrow(PoolState& pool, const Digest& job_id) {
  const JobState& job = pool.ledger().jobs().at(job_id);
  if (job.finished) return;
  const EscrowReach reach = escrow_reach(pool.ledger(), job_id);
  if (reach.leases_covered >= reach.leases_left) return;
  const bool dry = reach.leases_covered == 0;
  pool.out.note(dry ? "escrow_empty" : "escrow_low",
                {{"job", job.work.job().name},
                 {"id", short_hex(job_id)},
                 {"leases_left", std::to_string(reach.leases_left)},
                 {"leases_covered", std::to_string(reach.leases_covered)},
                 {"lease_costs", std::to_string(job.gross_per_lease)},
                 {"help", "a start with --fund N fills the escrow up to N"}},
                Level::warning);
}

}  // namespace

const JobState* twin_of(const LedgerState& ledger, const Work& work) {
  const Bytes wanted = work_alone(work);
  for (const auto& [id, job] : ledger.jobs()) {
    if (!job.finished && id != work.id() && work_alone(job.work) == wanted) return &job;
  }
  return nullptr;
}

EscrowReach escrow_reach(const LedgerState& ledger, const Digest& job_id) {
  const JobState& job = ledger.jobs().at(job_id);
  const kernels::Spec& spec = job.work.job().spec;
  GEMMINE_CHECK(job.round <= spec.rounds);
  const uint64_t all = job.stopped ? 0 : uint64_t{spec.rounds - job.round} * spec.slots;
  const auto taken = static_cast<uint64_t>(
      std::ranges::count_if(job.slots, [](const auto& slot) { return slot.has_value(); }));
  EscrowReach out;
  out.leases_left = job.finished || all < taken ? 0 : all - taken;
  const auto free = static_cast<uint64_t>(std::max<int64_t>(ledger.escrow_free(job_id), 0));
  out.leases_covered = out.leases_left;
  if (job.gross_per_lease > 0)
    out.leases_covered = std::min(out.leases_left, free / job.gross_per_lease);
  return out;
}

Status add_job(PoolState& pool, const Work& work, const Digest& theta_root,
               std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now) {
  const Digest id = work.id();
  GEMMINE_CHECK(!pool.rooms.contains(id));
  const auto known = pool.ledger().jobs().find(id);
  if (known == pool.ledger().jobs().end() || !known->second.finished) {
    const Status sound = check_terms(work, pool.options.share_ms);
    if (!sound)
      return Error{sound.error().code, "job " + work.job().name + ": " + sound.error().detail};
  }
  if (!pool.ledger().jobs().contains(id)) {
    if (const JobState* const twin = twin_of(pool.ledger(), work))
      return Error{Errc::invalid_argument,
                   "job " + work.job().name + " would be a second job, " + to_hex(id.bytes) +
                       ", beside " + to_hex(twin->work.id().bytes) +
                       ", which is not finished and differs only in " +
                       differences(twin->work.job(), work.job()) +
                       "; a job in the ledger cannot be changed: put the old values back, or give "
                       "the new job another name"};
    const auto added = pool.book.append(
        RecordKind::job, verifier::encode(verifier::JobBody{work.bytes(), theta_root}), now);
    if (!added) return added.error();
    pool.out.note("job_added", {{"job", work.job().name}, {"id", to_hex(id.bytes)}});
  }
  const JobState& job = pool.ledger().jobs().at(id);
  JobRoom& place = pool.rooms[id];
  place.work = &job.work;
  place.start_roots = std::move(start_roots);
  // As they came, whatever their ids are: who paid first is served first.
  const auto later = std::ranges::find_if(pool.queue, [&](const Digest& other) {
    return pool.ledger().jobs().at(other).seq > job.seq;
  });
  pool.queue.insert(later, id);
  if (const Status filled = fill_escrow(pool, id, fund, now); !filled) return filled;
  warn_of_escrow(pool, id);
  return Ok{};
}

bool all_finished(const PoolState& pool) {
  return !pool.rooms.empty() && std::ranges::all_of(pool.rooms, [&](const auto& entry) {
    return pool.ledger().jobs().at(entry.first).finished && entry.second.evaluated;
  });
}

}  // namespace gemmine::pool
