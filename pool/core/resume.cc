#include "pool/core/resume.h"

#include "pool/core/descents.h"
#include "pool/core/garbage.h"

namespace gemmine::pool {

using verifier::JobState;

namespace {

void recall_paces(PoolState& pool) {
  std::map<uint64_t, std::pair<Digest, Pace>> all;  // by seq
  for (const auto& [id, state] : pool.ledger().leases()) {
    for (uint32_t i = 0; i < state.shares.size(); ++i)
      all[state.shares[i].seq] = {state.lease.miner_key, pace_of(state, i)};
  }
  for (const auto& [seq, pace] : all)
    keep_pace(pool.keys[pace.first].paces, pace.second);
}

void resume_job(PoolState& pool, const Digest& id) {
  const JobRoom& place = pool.rooms.at(id);
  const JobState& job = pool.ledger().jobs().at(id);
  for (uint32_t round = place.first_kept; round < job.theta_roots.size(); ++round) {
    if (!place.results.contains(round))
      pool.out.tasks.emplace_back(EvaluateTask{id, round, job.theta_roots[round]});
  }
  pool.due.merge.insert(id);
  pool.due.finish.insert(id);
}

}  // namespace

void recall(PoolState& pool, const EvaluateDone& result) {
  JobRoom* const place = pool.room(result.job_id);
  if (place == nullptr || result.records == 0) return;
  const std::vector<Digest>& thetas = pool.ledger().jobs().at(result.job_id).theta_roots;
  if (result.round >= thetas.size() || thetas[result.round] != result.theta_root) return;
  place->results[result.round] = result;
  if (result.round + 1 == thetas.size()) place->evaluated = true;
}

void resume(PoolState& pool, uint64_t now) {
  GEMMINE_CHECK(pool.audits.size() == 0);
  pool.resumed_ms = now;
  recall_paces(pool);
  for (const auto& [id, place] : pool.rooms)
    drop_old_rounds(pool, id);
  for (const auto& [id, state] : pool.ledger().leases()) {
    if (state.wrong && resume_descent(pool, state)) continue;
    if (state.closed) continue;
    if (state.wrong) {
      pool.due.wrong.insert(id);  // the crash came between the verdict and what follows from it
    } else {
      pool.due.complete.insert(id);
    }
  }
  for (const verifier::BatchId& id : pool.ledger().unsettled())
    pool.due.batches.insert(id);
  for (const auto& [id, place] : pool.rooms)
    resume_job(pool, id);
}

}  // namespace gemmine::pool
