#include "pool/core/resume.h"

#include "pool/core/audits.h"
#include "pool/core/garbage.h"
#include "pool/core/rounds.h"
#include "pool/core/verdicts.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

void recall_paces(PoolState& pool) {
  std::map<uint64_t, std::pair<Digest, Pace>> all;  // by seq
  for (const auto& [id, state] : pool.ledger().leases()) {
    for (uint32_t i = 0; i < state.shares.size(); ++i)
      all[state.shares[i].seq] = {state.lease.miner_key, pace_of(state, i)};
  }
  for (const auto& [seq, pace] : all)
    keep_pace(pool.paces[pace.first], pace.second);
}

// Nobody could send a share meanwhile.
void lengthen_leases(PoolState& pool, uint64_t now) {
  const uint64_t last = pool.ledger().last_time_ms();
  const uint64_t away = now > last ? now - last : 0;
  for (const auto& [key, leases] : pool.open_leases) {
    for (const Digest& id : leases)
      pool.lease_notes[id].away_ms = away + pool.options.reconnect_ms;
  }
}

// What the coin demands of a logged share, if the pool still has to see to it.
AuditKind owed(const PoolState& pool, const LeaseState& state, const verifier::ShareState& share,
               const Digest& seed) {
  if (share.replayed || share.spotted) return AuditKind::none;
  const AuditKind kind =
      verifier::audit_kind(pool.work_of(state.lease).job().audit, seed, share.valid_before);
  if (kind != AuditKind::spot || !state.closed) return kind;
  // Nobody answers for a lease that is closed. Giving it back saves nobody from being looked at.
  const bool given_up =
      state.closed == CloseReason::abandoned || state.closed == CloseReason::expired;
  return given_up ? AuditKind::replay : AuditKind::none;
}

void owe_audits(PoolState& pool, const LeaseState& state, uint64_t now) {
  const Digest secret = pool.secret(state.lease);
  for (const verifier::ShareState& share : state.shares) {
    const uint32_t index = share.share.index;
    const Digest seed = verifier::challenge_seed(secret, share.id);
    const AuditKind kind = owed(pool, state, share, seed);
    // Whom the crash cut off gets the time to find back.
    if (kind != AuditKind::none)
      begin_audit(pool, state, index, kind, seed, now, pool.options.reconnect_ms);
    if (share.invalid_verdicts > 0) doubt(pool, state, index);
  }
}

bool out_of_reach(const PoolState& pool, const LeaseState& state) {
  const auto place = pool.rooms.find(state.lease.job_id);
  return place == pool.rooms.end() || state.lease.round < place->second.first_kept;
}

void resume_job(PoolState& pool, const Digest& id, uint64_t now) {
  const JobRoom& place = pool.rooms.at(id);
  const JobState& job = pool.ledger().jobs().at(id);
  if (!job.finished && job.round == place.work->job().spec.rounds) {
    // Between the last merge and the end.
    const auto finished = pool.book.append(RecordKind::finish,
                                           verifier::finish_body(id, job.theta_roots.back()), now);
    if (!finished)
      pool.out.note("finish_refused", {{"reason", finished.error().detail}}, Level::error);
  }
  for (uint32_t round = place.first_kept; round < job.theta_roots.size(); ++round) {
    if (!place.results.contains(round))
      pool.out.tasks.emplace_back(EvaluateTask{id, round, job.theta_roots[round]});
  }
  pool.due.merge.insert(id);
}

}  // namespace

void recall(PoolState& pool, const EvaluateDone& result) {
  JobRoom* const place = pool.room(result.job_id);
  if (place == nullptr || result.records == 0) return;
  const std::vector<Digest>& thetas = pool.ledger().jobs().at(result.job_id).theta_roots;
  // A rollback may have put another θ in its place.
  if (result.round >= thetas.size() || thetas[result.round] != result.theta_root) return;
  place->results[result.round] = result;
  if (result.round == place->work->job().spec.rounds) place->evaluated = true;
}

void resume(PoolState& pool, uint64_t now) {
  GEMMINE_CHECK(pool.audits.size() == 0);
  recall_paces(pool);
  lengthen_leases(pool, now);
  for (const auto& [id, place] : pool.rooms)
    drop_old_rounds(pool, id);
  for (const auto& [id, state] : pool.ledger().leases()) {
    if (!state.voided && !found_wrong(state) && !out_of_reach(pool, state))
      owe_audits(pool, state, now);
  }
  for (const auto& [id, state] : pool.ledger().leases()) {
    if (state.voided) continue;
    if (found_wrong(state)) {
      pool.due.wrong.insert(id);  // the crash came between the verdict and what follows from it
    } else if (state.closed == CloseReason::complete && state.forfeited) {
      second_look(pool, id);
    } else if (!state.closed) {
      pool.due.complete.insert(id);
    }
  }
  for (const auto& [id, place] : pool.rooms)
    resume_job(pool, id, now);
}

}  // namespace gemmine::pool
