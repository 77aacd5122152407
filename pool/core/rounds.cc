#include "pool/core/rounds.h"

#include <algorithm>
#include <functional>
#include <ranges>

#include "pool/core/audits.h"
#include "pool/core/closing.h"
#include "pool/core/garbage.h"
#include "pool/core/repairs.h"

namespace gemmine::pool {

using verifier::CloseReason;
using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

const JobState& job_of(const PoolState& pool, const Digest& job_id) {
  const auto found = pool.ledger().jobs().find(job_id);
  GEMMINE_CHECK(found != pool.ledger().jobs().end());
  return found->second;
}

void ban(PoolState& pool, const LeaseState& state, uint64_t now) {
  const Digest& key = state.lease.miner_key;
  const verifier::BatchState* const batch =
      pool.ledger().batch({state.lease.job_id, key, state.batch});
  GEMMINE_CHECK(batch != nullptr);
  // One fault may be the device's.
  if (!state.proof || batch->proven < 2 || pool.ledger().members().at(key).banned) return;
  const auto banned = pool.book.append(
      RecordKind::ban, verifier::encode(verifier::BanBody{key, state.lease.id, *state.proof}), now);
  if (!banned)
    return pool.out.note("ban_refused", {{"reason", banned.error().detail}}, Level::error);
  pool.out.note("banned", {{"miner", short_hex(key)}, {"lease", short_hex(state.lease.id)}},
                Level::warning);
  cancel(
      pool, [&](const LeaseState& open) { return open.lease.miner_key == key; }, now);
  for (const ConnId id : pool.sessions.of_miner(key))
    pool.refuse(id, 0, WireError::banned, "this key was found cheating");
  for (const verifier::BatchId& id : pool.ledger().unsettled()) {
    if (id.key == key) pool.due.batches.insert(id);
  }
}

// Whether a round all of whose leases are complete waits for replays of them.
bool waits_for_audits(const PoolState& pool, JobRoom& place, const JobState& job, uint64_t now) {
  const bool any = std::ranges::any_of(
      job.slots, [&](const auto& slot) { return slot && pool.audits.wanted(*slot); });
  if (!any || (place.whole_round == job.round && now >= place.merge_due_ms)) return false;
  const uint64_t wait_ms = std::max(kMergeWaitMs, job.work.job().audit.lease_ms / kMergeWaitPart);
  if (place.whole_round != job.round) place.merge_due_ms = now + wait_ms;
  place.whole_round = job.round;
  return true;
}

// Of leases that never made a whole batch.
void drop_secrets(PoolState& pool, const Digest& job_id) {
  for (const auto& [id, state] : pool.ledger().leases()) {
    if (state.lease.job_id == job_id) pool.drop_secret(state.lease.batch_commit);
  }
}

}  // namespace

void announce_round(PoolState& pool, const JobState& job) {
  const Round round{job.work.id(), job.round, job.theta_roots.back(), job.finished};
  for (const auto& [id, peer] : pool.sessions.peers()) {
    if (peer.stage == Peer::Stage::ready) pool.out.send(id, round);
  }
}

void cancel(PoolState& pool, const std::function<bool(const LeaseState&)>& which, uint64_t now) {
  std::vector<Digest> found;
  for (const auto& [key, leases] : pool.open_leases)
    std::ranges::copy_if(leases, std::back_inserter(found),
                         [&](const Digest& id) { return which(pool.known_lease(id)); });
  for (const Digest& id : found) {
    if (!close_lease(pool, {.lease_id = id, .reason = CloseReason::cancelled, .secret = {}}, now))
      continue;
    pool.audits.erase(id);
    end_doubts(pool, id, Doubted::undecided);
  }
}

void end_job(PoolState& pool, const JobState& job, uint64_t now) {
  GEMMINE_CHECK(job.ended());
  const Digest id = job.work.id();
  cancel(
      pool, [&](const LeaseState& state) { return state.lease.job_id == id; }, now);
  for (const verifier::BatchId& batch : pool.ledger().unsettled()) {
    if (batch.job_id == id) pool.due.batches.insert(batch);
  }
  pool.due.finish.insert(id);
}

void condemn(PoolState& pool, const Digest& lease_id, uint64_t now) {
  const LeaseState& state = pool.known_lease(lease_id);
  // Wrong bits convict, and nothing else does: a verdict that the ledger refused is none.
  if (!state.wrong) return;
  end_doubts(pool, lease_id, Doubted::right);
  const Digest key = state.lease.miner_key;
  pool.proven.erase(key);  // as a new key it is audited at once again
  if (!state.closed)
    close_lease(pool,
                {.lease_id = lease_id,
                 // Without a proof it loses its slot, and that is all.
                 .reason = state.proof ? CloseReason::rejected : CloseReason::cancelled,
                 .secret = {},
                 .proof = state.proof.value_or(Digest{})},
                now);
  pause_key(pool, state.lease, lease_ms_of(state.lease), now);
  ban(pool, state, now);
  pool.due.batches.insert({state.lease.job_id, key, state.batch});
  pool.due.merge.insert(state.lease.job_id);
  pool.due.finish.insert(state.lease.job_id);
}

void try_merge(PoolState& pool, const Digest& job_id, uint64_t now) {
  JobRoom* const place = pool.room(job_id);
  const JobState& job = job_of(pool, job_id);
  if (place == nullptr || place->merging) return;
  if (place->repair_due) return begin_repair(pool, job_id);
  if (job.ended()) return;
  MergeTask task{.job_id = job_id,
                 .round = job.round,
                 .theta_root = job.theta_roots.back(),
                 .lease_ids = {},
                 .delta_roots = {},
                 .subtracted = {},
                 .subtracted_roots = {}};
  for (const auto& slot : job.slots) {
    const LeaseState* const state = slot ? pool.lease(*slot) : nullptr;
    if (state == nullptr || state->closed != CloseReason::complete || !state->delta_root) return;
    task.lease_ids.push_back(*slot);
    task.delta_roots.push_back(*state->delta_root);
  }
  if (waits_for_audits(pool, *place, job, now)) return;
  for (const auto& [id, seq] : job.to_subtract) {
    task.subtracted.push_back(id);
    task.subtracted_roots.push_back(*pool.known_lease(id).delta_root);
  }
  place->merging = true;
  place->merge_due_ms = 0;
  pool.out.tasks.emplace_back(std::move(task));
}

void retry_merges(PoolState& pool, uint64_t now) {
  for (auto& [id, place] : pool.rooms) {
    if (place.merge_due_ms != 0 && now >= place.merge_due_ms) try_merge(pool, id, now);
  }
}

void on_merge_done(PoolState& pool, const MergeDone& done, uint64_t now) {
  JobRoom* const place = pool.room(done.job_id);
  if (place == nullptr) return;
  GEMMINE_CHECK(place->merging);
  place->merging = false;
  const std::string& name = place->work->job().name;
  if (!done.failed.empty()) {
    // A full disk or a blob being copied back heals; the ledger alone says what to merge.
    const bool again = place->merge_failures < kMergeRetriesMax;
    if (again) place->merge_due_ms = now + (kMergeRetryMs << place->merge_failures++);
    return pool.out.note(
        "merge_failed",
        {{"job", name}, {"reason", done.failed}, {"again", again ? "yes" : "after a restart"}},
        Level::error);
  }
  place->merge_failures = 0;
  if (done.lease_ids.empty()) return finish_repair(pool, done, now);
  const JobState& job = job_of(pool, done.job_id);
  const auto first = [](const auto& entry) { return entry.first; };
  const bool current = job.round == done.round && !job.ended() &&
                       std::ranges::equal(job.slots, done.lease_ids) &&
                       std::ranges::equal(job.to_subtract, done.subtracted, {}, first);
  if (!current) return try_merge(pool, done.job_id, now);
  const auto logged =
      pool.book.append(RecordKind::merge,
                       verifier::encode(verifier::MergeBody{.job_id = done.job_id,
                                                            .round = done.round,
                                                            .theta_before = job.theta_roots.back(),
                                                            .theta_root = done.theta_root,
                                                            .lease_ids = done.lease_ids,
                                                            .subtracted = done.subtracted}),
                       now);
  if (!logged)
    return pool.out.note("merge_refused", {{"job", name}, {"reason", logged.error().detail}},
                         Level::error);
  GEMMINE_CHECK(job.round == done.round + 1);
  place->start_roots[done.theta_root] = done.start_root;
  pool.out.note("merged", {{"job", name},
                           {"round", std::to_string(done.round)},
                           {"subtracted", std::to_string(done.subtracted.size())},
                           {"theta", short_hex(done.theta_root)}});
  pool.out.tasks.emplace_back(EvaluateTask{done.job_id, job.round, done.theta_root});
  if (job.ended()) end_job(pool, job, now);
  drop_old_rounds(pool, done.job_id);
  announce_round(pool, job);
}

void on_evaluate_done(PoolState& pool, const EvaluateDone& done) {
  JobRoom* const place = pool.room(done.job_id);
  if (place == nullptr) return;
  const std::string& name = place->work->job().name;
  const std::vector<Digest>& thetas = job_of(pool, done.job_id).theta_roots;
  if (done.round >= thetas.size() || thetas[done.round] != done.theta_root) return;  // repaired
  if (done.round + 1 == thetas.size()) place->evaluated = true;
  if (done.records == 0)
    return pool.out.note("evaluation_failed",
                         {{"job", name}, {"round", std::to_string(done.round)}}, Level::warning);
  place->results[done.round] = done;
  const double percent =
      100.0 * static_cast<double>(done.correct) / static_cast<double>(done.records);
  pool.out.note("accuracy", {{"job", name},
                             {"round", std::to_string(done.round)},
                             {"percent", std::to_string(percent)},
                             {"loss", std::to_string(done.loss)}});
}

void try_finish(PoolState& pool, const Digest& job_id, uint64_t now) {
  const JobState& job = job_of(pool, job_id);
  JobRoom* const place = pool.room(job_id);
  if (place == nullptr || !job.ended() || job.finished) return;
  if (job.open_leases > 0 || job.unsettled_leases > 0) return;
  if (!job.to_subtract.empty()) {  // the weights that are delivered hold nothing known to be wrong
    place->repair_due = true;
    pool.due.merge.insert(job_id);
    return;
  }
  const Digest& theta = job.theta_roots.back();
  const auto logged = pool.book.append(RecordKind::finish,
                                       verifier::encode(verifier::FinishBody{job_id, theta}), now);
  if (!logged)
    return pool.out.note("finish_refused", {{"reason", logged.error().detail}}, Level::error);
  drop_secrets(pool, job_id);
  pool.out.note("job_finished", {{"job", job.work.job().name}, {"theta", to_hex(theta.bytes)}});
  announce_round(pool, job);
}

}  // namespace gemmine::pool
