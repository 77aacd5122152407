// Rounds: second looks, merges, rollbacks, the end of a job, and taking all that up again after a
// crash (PROTOCOL 8.3, 8.5).
#include <algorithm>

#include "pool/core/pool.h"
#include "pool/net/backoff.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

bool found_wrong(const LeaseState& state) {
  return std::ranges::any_of(state.shares, &verifier::ShareState::found_wrong);
}

}  // namespace

// Replays a complete lease whole; no merge of its job happens before the answer is there.
void Pool::second_look(const Digest& lease_id) {
  const LeaseState* const state = lease(lease_id);
  if (room(state->lease.job_id) == nullptr || state->shares.empty()) return;
  if (state->shares.back().replayed) return;
  begin_replay(*state, static_cast<uint32_t>(state->shares.size() - 1), false);
}

bool Pool::looks_again(const Digest& job_id) const {
  return std::ranges::any_of(audits_.pending(), [&](const auto& entry) {
    return !entry.second.required && lease(entry.first.lease_id)->lease.job_id == job_id;
  });
}

// A complete lease was found wrong: what was built on it goes.
void Pool::roll_back(const Digest& lease_id, uint64_t now) {
  const LeaseState* const wrong = lease(lease_id);
  if (wrong->closed != CloseReason::complete || wrong->voided) return;
  const Digest job_id = wrong->lease.job_id;
  const uint32_t round = wrong->lease.round;
  std::vector<Digest> open;
  for (const auto& [id, state] : ledger().leases()) {
    if (state.lease.job_id == job_id && state.lease.round > round && !state.closed && !state.voided)
      open.push_back(id);
  }
  for (const Digest& id : open) {
    audits_.erase_lease(id);
    close_lease(id, CloseReason::cancelled, now);
  }
  const auto logged =
      book_.append(RecordKind::rollback, verifier::rollback_body(job_id, round, lease_id), now);
  if (!logged)  // its round is not merged yet: on_merge_done comes back here
    return out_.note("rollback_waits",
                     {{"lease", short_hex(lease_id)}, {"reason", logged.error().detail}},
                     Level::warning);
  const JobState& job = ledger().jobs().at(job_id);
  out_.note("rollback",
            {{"job", job.work.job().name},
             {"round", std::to_string(round)},
             {"lease", short_hex(lease_id)}},
            Level::warning);
  if (JobRoom* const place = room(job_id)) {
    place->results.erase(place->results.upper_bound(round), place->results.end());
  }
  std::vector<ShareKey> pending;
  for (const auto& [key, audit] : audits_.pending())
    pending.push_back(key);
  for (const ShareKey& key : pending) {
    if (lease(key.lease_id)->voided) audits_.erase(key);
  }
  announce(job);
}

void Pool::try_merge(const Digest& job_id) {
  JobRoom* const place = room(job_id);
  const JobState& job = ledger().jobs().at(job_id);
  if (place == nullptr || place->merging || job.finished) return;
  MergeTask task{job_id, job.round, job.theta_roots.back(), {}, {}};
  for (const auto& slot : job.slots) {
    const LeaseState* const state = slot ? lease(*slot) : nullptr;
    if (state == nullptr || state->closed != CloseReason::complete || !state->delta_root) return;
    task.lease_ids.push_back(*slot);
    task.delta_roots.push_back(*state->delta_root);
  }
  if (looks_again(job_id)) return;
  place->merging = true;
  place->merge_due_ms = 0;
  out_.tasks.emplace_back(std::move(task));
}

void Pool::retry_merges(uint64_t now) {
  for (auto& [id, place] : rooms_) {
    if (place.merge_due_ms != 0 && now >= place.merge_due_ms) try_merge(id);
  }
}

void Pool::on_merge_done(const MergeDone& done, uint64_t now) {
  JobRoom* const place = room(done.job_id);
  if (place == nullptr) return;
  place->merging = false;
  if (!done.failed.empty()) {
    // A full disk or a blob being copied back heals; the ledger alone says what to merge.
    const bool again = place->merge_failures < kMergeRetriesMax;
    if (again) place->merge_due_ms = now + (kMergeRetryMs << place->merge_failures++);
    return out_.note("merge_failed",
                     {{"job", place->work->job().name},
                      {"reason", done.failed},
                      {"again", again ? "yes" : "after a restart"}},
                     Level::error);
  }
  place->merge_failures = 0;
  const JobState& job = ledger().jobs().at(done.job_id);
  const bool current = job.round == done.round && !job.finished && !looks_again(done.job_id) &&
                       std::ranges::equal(job.slots, done.lease_ids);
  if (!current) return try_merge(done.job_id);
  const auto logged = book_.append(
      RecordKind::merge,
      verifier::merge_body(done.job_id, done.round, done.theta_root, done.lease_ids), now);
  if (!logged)
    return out_.note("merge_refused",
                     {{"job", place->work->job().name}, {"reason", logged.error().detail}},
                     Level::error);
  place->start_roots[done.theta_root] = done.start_root;
  out_.note("merged", {{"job", place->work->job().name},
                       {"round", std::to_string(done.round)},
                       {"theta", short_hex(done.theta_root)}});
  for (const Digest& id : done.lease_ids) {
    if (found_wrong(*lease(id))) return roll_back(id, now);
  }
  out_.tasks.emplace_back(EvaluateTask{done.job_id, done.round + 1, done.theta_root});
  if (done.round + 1 == place->work->job().spec.rounds) {
    const auto finished =
        book_.append(RecordKind::finish, verifier::finish_body(done.job_id, done.theta_root), now);
    out_.note("job_finished", {{"job", place->work->job().name},
                               {"theta", to_hex(done.theta_root.bytes)},
                               {"logged", finished ? "yes" : finished.error().detail}});
  }
  announce(ledger().jobs().at(done.job_id));
}

void Pool::announce(const JobState& job) {
  const Round round{job.work.id(), job.round, job.theta_roots.back(), job.finished};
  for (const auto& [id, peer] : sessions_.peers()) {
    if (peer.stage == Peer::Stage::ready) out_.send(id, round);
  }
}

// What the pool before this one knew of its devices.
void Pool::recall_paces() {
  std::map<uint64_t, std::pair<Digest, Pace>> all;  // by seq
  for (const auto& [id, state] : ledger().leases()) {
    for (uint32_t i = 0; i < state.shares.size(); ++i)
      all[state.shares[i].seq] = {state.lease.miner_key, pace_of(state, i)};
  }
  for (const auto& [seq, pace] : all)
    keep_pace(paces_[pace.first], pace.second);
}

void Pool::resume(uint64_t now) {
  recall_paces();
  for (const auto& [id, state] : ledger().leases()) {
    if (state.voided || found_wrong(state) || !rooms_.contains(state.lease.job_id)) continue;
    const Digest secret = verifier::lease_secret(options_.coin_master, state.lease.serial);
    for (const verifier::ShareState& share : state.shares) {
      const uint32_t index = share.share.index;
      if (!share.replayed && !share.spotted) {
        const Digest seed = verifier::challenge_seed(secret, share.id);
        const AuditKind kind = verifier::audit_kind(rooms_.at(state.lease.job_id).work->job().audit,
                                                    seed, share.valid_before);
        const bool unanswerable = state.closed && kind == AuditKind::spot;
        // Whom the crash cut off gets the time to find back.
        if (kind != AuditKind::none && !unanswerable)
          begin_audit(state, index, kind, seed, now + Backoff::kCeilingMs);
      }
      if (share.invalid_verdicts > 0) doubt(state, index);
    }
  }
  std::vector<Digest> wrong;
  std::vector<Digest> ready;
  for (const auto& [id, state] : ledger().leases()) {
    if (state.voided) continue;
    const bool complete = state.closed == CloseReason::complete;
    if (found_wrong(state)) {
      wrong.push_back(id);  // the crash came between the verdict and what follows from it
    } else if (complete && state.forfeited) {
      second_look(id);
    } else if (!state.closed) {
      ready.push_back(id);
    }
  }
  for (const Digest& id : wrong)
    condemn(id, now);
  for (const Digest& id : ready)
    try_complete(id, now);
  for (const auto& [id, place] : rooms_) {
    const JobState& job = ledger().jobs().at(id);
    if (!job.finished && job.round == place.work->job().spec.rounds) {
      // Between the last merge and the end.
      const auto finished =
          book_.append(RecordKind::finish, verifier::finish_body(id, job.theta_roots.back()), now);
      if (!finished)
        out_.note("finish_refused", {{"reason", finished.error().detail}}, Level::error);
    }
    for (uint32_t round = 0; round < job.theta_roots.size(); ++round)
      out_.tasks.emplace_back(EvaluateTask{id, round, job.theta_roots[round]});
    try_merge(id);
  }
}

}  // namespace gemmine::pool
