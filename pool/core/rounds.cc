#include "pool/core/rounds.h"

#include <algorithm>

#include "pool/core/audits.h"
#include "pool/core/closing.h"
#include "pool/core/garbage.h"

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

bool looks_again(const PoolState& pool, const Digest& job_id) {
  return std::ranges::any_of(pool.audits.pending(), [&](const auto& entry) {
    return !entry.second.required && pool.known_lease(entry.first.lease_id).lease.job_id == job_id;
  });
}

void announce(PoolState& pool, const JobState& job) {
  const Round round{job.work.id(), job.round, job.theta_roots.back(), job.finished};
  for (const auto& [id, peer] : pool.sessions.peers()) {
    if (peer.stage == Peer::Stage::ready) pool.out.send(id, round);
  }
}

void cancel(PoolState& pool, const std::vector<Digest>& leases, uint64_t now) {
  for (const Digest& id : leases) {
    pool.audits.erase_lease(id);
    close_lease(pool, id, CloseReason::cancelled, now);
  }
}

// What the named round and those after it were made of.
void leave_over_since(PoolState& pool, const JobState& job, uint32_t round) {
  const Digest& id = job.work.id();
  const auto leave_delta = [&](uint32_t of, const Digest& lease_id) {
    if (const auto& delta = pool.known_lease(lease_id).delta_root) leave_over(pool, id, of, *delta);
  };
  for (uint32_t later = round; later < job.round; ++later) {
    leave_over(pool, id, later + 1, job.theta_roots[later + 1]);
    for (const Digest& lease_id : job.merged[later])
      leave_delta(later, lease_id);
  }
  for (const auto& slot : job.slots) {
    if (slot) leave_delta(job.round, *slot);
  }
}

// A complete lease was found wrong: what was built on it goes.
void roll_back(PoolState& pool, const Digest& lease_id, uint64_t now) {
  const LeaseState& wrong = pool.known_lease(lease_id);
  if (wrong.closed != CloseReason::complete || wrong.voided) return;
  const Digest job_id = wrong.lease.job_id;
  const uint32_t round = wrong.lease.round;
  JobRoom* const place = pool.room(job_id);
  if (place != nullptr && round < place->first_kept)
    return pool.out.note("rollback_too_late", {{"lease", short_hex(lease_id)}}, Level::warning);
  std::vector<Digest> open;
  for (const auto& [key, leases] : pool.open_leases) {
    for (const Digest& id : leases) {
      const verifier::Lease& lease = pool.known_lease(id).lease;
      if (lease.job_id == job_id && lease.round > round) open.push_back(id);
    }
  }
  cancel(pool, open, now);
  const JobState& job = job_of(pool, job_id);
  if (round < job.round) leave_over_since(pool, job, round);
  const auto logged =
      pool.book.append(RecordKind::rollback, verifier::rollback_body(job_id, round, lease_id), now);
  if (!logged)  // its round is not merged yet: on_merge_done comes back here
    return pool.out.note("rollback_waits",
                         {{"lease", short_hex(lease_id)}, {"reason", logged.error().detail}});
  GEMMINE_CHECK(job.round == round && wrong.voided);
  pool.out.note("rollback",
                {{"job", job.work.job().name},
                 {"round", std::to_string(round)},
                 {"lease", short_hex(lease_id)}},
                Level::warning);
  if (place != nullptr)
    place->results.erase(place->results.upper_bound(round), place->results.end());
  std::vector<ShareKey> pending;
  for (const auto& [key, audit] : pool.audits.pending())
    pending.push_back(key);
  for (const ShareKey& key : pending) {
    if (pool.known_lease(key.lease_id).voided) pool.audits.erase(key);
  }
  announce(pool, job);
}

void finish(PoolState& pool, const JobState& job, uint64_t now) {
  const Digest& theta = job.theta_roots.back();
  const auto logged =
      pool.book.append(RecordKind::finish, verifier::finish_body(job.work.id(), theta), now);
  pool.out.note("job_finished", {{"job", job.work.job().name},
                                 {"theta", to_hex(theta.bytes)},
                                 {"logged", logged ? "yes" : logged.error().detail}});
}

}  // namespace

bool found_wrong(const LeaseState& state) {
  return std::ranges::any_of(state.shares, &verifier::ShareState::found_wrong);
}

void second_look(PoolState& pool, const Digest& lease_id) {
  const LeaseState& state = pool.known_lease(lease_id);
  const JobRoom* const place = pool.room(state.lease.job_id);
  if (place == nullptr || state.lease.round < place->first_kept || state.shares.empty()) return;
  if (state.shares.back().replayed) return;
  begin_replay(pool, state, static_cast<uint32_t>(state.shares.size() - 1), false);
}

void condemn(PoolState& pool, const Digest& lease_id, uint64_t now) {
  const LeaseState& state = pool.known_lease(lease_id);
  GEMMINE_CHECK(found_wrong(state));  // wrong bits convict, and nothing else does
  pool.audits.erase_lease(lease_id);
  const Digest key = state.lease.miner_key;
  if (!state.closed) close_lease(pool, lease_id, CloseReason::rejected, now);
  const std::vector<Digest> unpaid = pool.ledger().unvested(key);
  const auto member = pool.ledger().members().find(key);
  GEMMINE_CHECK(member != pool.ledger().members().end());  // it has a lease
  if (!member->second.banned) {
    const auto banned = pool.book.append(RecordKind::ban, verifier::ban_body(key, lease_id), now);
    if (!banned) pool.out.note("ban_refused", {{"reason", banned.error().detail}}, Level::error);
    pool.out.note("banned", {{"miner", short_hex(key)}, {"lease", short_hex(lease_id)}},
                  Level::warning);
    const auto open = pool.open_leases.find(key);
    if (open != pool.open_leases.end())
      cancel(pool, std::vector<Digest>(open->second.begin(), open->second.end()), now);
    for (const ConnId id : pool.sessions.of_miner(key))
      pool.refuse(id, 0, WireError::banned, "this key was found cheating");
    for (const Digest& id : unpaid) {
      if (id != lease_id) second_look(pool, id);
    }
  }
  roll_back(pool, lease_id, now);
  pool.due.merge.insert(state.lease.job_id);
}

void try_merge(PoolState& pool, const Digest& job_id) {
  JobRoom* const place = pool.room(job_id);
  const JobState& job = job_of(pool, job_id);
  if (place == nullptr || place->merging || job.finished) return;
  MergeTask task{job_id, job.round, job.theta_roots.back(), {}, {}};
  for (const auto& slot : job.slots) {
    const LeaseState* const state = slot ? pool.lease(*slot) : nullptr;
    if (state == nullptr || state->closed != CloseReason::complete || !state->delta_root) return;
    task.lease_ids.push_back(*slot);
    task.delta_roots.push_back(*state->delta_root);
  }
  if (looks_again(pool, job_id)) return;
  place->merging = true;
  place->merge_due_ms = 0;
  pool.out.tasks.emplace_back(std::move(task));
}

void retry_merges(PoolState& pool, uint64_t now) {
  for (auto& [id, place] : pool.rooms) {
    if (place.merge_due_ms != 0 && now >= place.merge_due_ms) try_merge(pool, id);
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
  const JobState& job = job_of(pool, done.job_id);
  const bool current = job.round == done.round && !job.finished &&
                       !looks_again(pool, done.job_id) &&
                       std::ranges::equal(job.slots, done.lease_ids);
  if (!current) return try_merge(pool, done.job_id);
  const auto logged = pool.book.append(
      RecordKind::merge,
      verifier::merge_body(done.job_id, done.round, done.theta_root, done.lease_ids), now);
  if (!logged)
    return pool.out.note("merge_refused", {{"job", name}, {"reason", logged.error().detail}},
                         Level::error);
  GEMMINE_CHECK(job.round == done.round + 1);
  place->start_roots[done.theta_root] = done.start_root;
  pool.out.note("merged", {{"job", name},
                           {"round", std::to_string(done.round)},
                           {"theta", short_hex(done.theta_root)}});
  for (const Digest& id : done.lease_ids) {
    if (found_wrong(pool.known_lease(id))) return roll_back(pool, id, now);
  }
  pool.out.tasks.emplace_back(EvaluateTask{done.job_id, job.round, done.theta_root});
  if (job.round == place->work->job().spec.rounds) finish(pool, job, now);
  drop_old_rounds(pool, done.job_id);
  announce(pool, job);
}

void on_evaluate_done(PoolState& pool, const EvaluateDone& done) {
  JobRoom* const place = pool.room(done.job_id);
  if (place == nullptr) return;
  const std::string& name = place->work->job().name;
  if (done.round == place->work->job().spec.rounds) place->evaluated = true;
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

}  // namespace gemmine::pool
