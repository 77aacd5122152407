#include "pool/core/repairs.h"

#include <algorithm>

#include "pool/core/audits.h"
#include "pool/core/garbage.h"
#include "pool/core/rounds.h"

namespace gemmine::pool {

using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

// What a repair takes out: all that is known, as far as it fits a record.
std::vector<Digest> wrong_leases(const JobState& job) {
  std::vector<Digest> out;
  for (const auto& [id, seq] : job.to_subtract) {
    if (out.size() < kernels::kSlotsMax) out.push_back(id);
  }
  return out;
}

void stop_job(PoolState& pool, const LeaseState& state, uint32_t step, uint64_t now) {
  const Digest job_id = state.lease.job_id;
  const verifier::StopBody body{.job_id = job_id, .lease_id = state.lease.id, .step = step};
  const auto logged = pool.book.append(RecordKind::stop, verifier::encode(body), now);
  const JobState& job = pool.ledger().jobs().at(job_id);
  if (!logged)
    return pool.out.note("stop_refused", {{"reason", logged.error().detail}}, Level::warning);
  pool.out.note("job_stopped",
                {{"job", job.work.job().name},
                 {"round", std::to_string(job.round)},
                 {"slot", std::to_string(state.lease.slot)},
                 {"step", std::to_string(step)},
                 {"reason", "training diverges there: a NaN or infinity; lower lr or set clip"}},
                Level::error);
  end_job(pool, job, now);
}

// Leases of the weights that are no more: who had sent everything is paid all the same.
void set_aside(PoolState& pool, const JobState& job, const std::vector<Digest>& slots,
               uint64_t now) {
  const Digest job_id = job.work.id();
  cancel(
      pool,
      [&](const LeaseState& open) {
        return open.lease.job_id == job_id && open.set_aside && !open.delta_root;
      },
      now);
  for (const Digest& id : slots) {
    const LeaseState& state = pool.known_lease(id);
    if (state.closed && state.delta_root) drop_unneeded(pool, *state.delta_root);
  }
}

}  // namespace

void training_diverges(PoolState& pool, const LeaseState& state, uint32_t step) {
  JobRoom* const place = pool.room(state.lease.job_id);
  if (place == nullptr) return;
  place->diverges = Divergence{state.lease.id, step};
  pool.due.diverged.insert(state.lease.job_id);
}

void look_at_diverged_job(PoolState& pool, const Digest& job_id, uint64_t now) {
  JobRoom* const place = pool.room(job_id);
  if (place == nullptr || !place->diverges) return;
  const JobState& job = pool.ledger().jobs().at(job_id);
  const LeaseState& state = pool.known_lease(place->diverges->lease_id);
  if (job.ended() || state.lease.theta_root != job.theta_roots.back()) {
    place->diverges.reset();
    return;
  }
  if (!job.to_subtract.empty()) {
    place->repair_due = true;
    pool.due.merge.insert(job_id);
    return;
  }
  if (run_suspects(pool, job_id)) return;
  const uint32_t step = place->diverges->step;
  place->diverges.reset();
  stop_job(pool, state, step, now);
}

void begin_repair(PoolState& pool, const Digest& job_id) {
  JobRoom* const place = pool.room(job_id);
  GEMMINE_CHECK(place != nullptr && !place->merging && place->repair_due);
  const JobState& job = pool.ledger().jobs().at(job_id);
  MergeTask task{.job_id = job_id,
                 .round = job.round,
                 .theta_root = job.theta_roots.back(),
                 .lease_ids = {},
                 .delta_roots = {},
                 .subtracted = wrong_leases(job),
                 .subtracted_roots = {}};
  if (task.subtracted.empty() || job.finished) {
    place->repair_due = false;
    return;
  }
  for (const Digest& id : task.subtracted)
    task.subtracted_roots.push_back(*pool.known_lease(id).delta_root);
  place->merging = true;
  place->merge_due_ms = 0;
  pool.out.tasks.emplace_back(std::move(task));
}

void finish_repair(PoolState& pool, const MergeDone& done, uint64_t now) {
  JobRoom* const place = pool.room(done.job_id);
  GEMMINE_CHECK(place != nullptr && !place->merging);
  const JobState& job = pool.ledger().jobs().at(done.job_id);
  GEMMINE_CHECK(job.round == done.round);  // nothing was merged meanwhile
  pool.due.merge.insert(done.job_id);
  if (wrong_leases(job) != done.subtracted) return;  // another one was found: again, with it
  const std::string& name = place->work->job().name;
  std::vector<Digest> slots;
  for (const auto& slot : job.slots) {
    if (slot) slots.push_back(*slot);
  }
  const verifier::MergeBody body{.job_id = done.job_id,
                                 .round = done.round,
                                 .theta_before = job.theta_roots.back(),
                                 .theta_root = done.theta_root,
                                 .lease_ids = {},
                                 .subtracted = done.subtracted};
  place->repair_due = false;
  const auto logged = pool.book.append(RecordKind::merge, verifier::encode(body), now);
  if (!logged)
    return pool.out.note("repair_refused", {{"job", name}, {"reason", logged.error().detail}},
                         Level::error);
  place->start_roots[done.theta_root] = done.start_root;
  place->diverges.reset();
  place->evaluated = false;
  place->results.erase(done.round);
  pool.out.note("repaired",
                {{"job", name},
                 {"round", std::to_string(done.round)},
                 {"subtracted", std::to_string(done.subtracted.size())},
                 {"theta", short_hex(done.theta_root)}},
                Level::warning);
  pool.out.tasks.emplace_back(EvaluateTask{done.job_id, job.round, done.theta_root});
  set_aside(pool, job, slots, now);
  pool.due.finish.insert(done.job_id);
  announce_round(pool, job);
}

}  // namespace gemmine::pool
