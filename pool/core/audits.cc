#include "pool/core/audits.h"

#include <algorithm>

#include "pool/core/closing.h"
#include "pool/core/rounds.h"
#include "pool/core/verdicts.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::LeaseState;
using verifier::Outcome;

namespace {

uint64_t macs_of(const PoolState& pool, const verifier::Lease& lease) {
  return pool.work_of(lease).program().macs_per_step() * lease.steps;
}

// False: it is not run (again).
bool add(PoolState& pool, const LeaseState& state, Turn turn) {
  if (state.replayed || state.wrong) return false;
  const JobRoom* const place = pool.room(state.lease.job_id);
  if (place == nullptr || state.lease.round < place->first_kept) return false;  // without its blobs
  GEMMINE_CHECK(!state.shares.empty());
  pool.audits.add(state.lease.id, turn, macs_of(pool, state.lease), !state.closed);
  return true;
}

// Those who said that the lease is wrong were right, or were not.
void judge_accusers(PoolState& pool, const Digest& lease_id, bool wrong) {
  const auto found = pool.accusers.find(lease_id);
  if (found == pool.accusers.end()) return;
  for (const Digest& auditor : found->second) {
    if (wrong) ++pool.auditors[auditor].confirmed;
  }
  pool.accusers.erase(found);
}

// Weights that make training diverge may be somebody's doing: whatever was merged and nobody has
// looked at yet is run before a job is stopped. Whether there is any such.
bool run_suspects(PoolState& pool, const Digest& job_id) {
  const JobRoom* const place = pool.room(job_id);
  bool any = false;
  for (const auto& [id, state] : pool.ledger().leases()) {
    const bool suspect = state.lease.job_id == job_id && state.merged && !state.paid &&
                         !state.replayed && !state.wrong;
    if (!suspect || place == nullptr || state.lease.round < place->first_kept) continue;
    add(pool, state, Turn::proven);
    any = true;
  }
  return any;
}

}  // namespace

void want_replay(PoolState& pool, const LeaseState& state) {
  add(pool, state, turn_of(pool.standing(state.lease.miner_key)));
}

void look_at_doubts(PoolState& pool, const LeaseState& state) {
  const auto found = pool.accusers.find(state.lease.id);
  if (found == pool.accusers.end() || !state.closed || state.shares.empty()) return;
  const bool listed =
      std::ranges::any_of(found->second, [&](const Digest& key) { return pool.listed(key); });
  if (!add(pool, state, listed ? Turn::proven : Turn::doubt)) pool.accusers.erase(found);
}

void look_at_divergence(PoolState& pool, const LeaseState& state, uint32_t step) {
  const verifier::JobState& job = pool.ledger().jobs().at(state.lease.job_id);
  const auto next = static_cast<uint32_t>(state.shares.size());
  const bool possible = !job.ended() && state.lease.round == job.round &&
                        next < state.lease.shares() && step >= state.lease.first_step(next) &&
                        step - state.lease.first_step(next) < state.lease.steps_of(next);
  // The next one to get there says so, too.
  if (!possible || pool.audits.full() || pool.audits.contains(state.lease.id)) return;
  pool.diverged[state.lease.id] = step;
  pool.audits.add(state.lease.id, turn_of(pool.standing(state.lease.miner_key)),
                  macs_of(pool, state.lease));
}

void run_audits(PoolState& pool) {
  while (const auto id = pool.audits.take()) {
    const LeaseState& state = pool.known_lease(*id);
    std::vector<verifier::Share> shares;
    for (const verifier::ShareState& share : state.shares)
      shares.push_back(share.share);
    const auto diverged = pool.diverged.find(*id);
    if (diverged != pool.diverged.end()) {
      pool.out.tasks.emplace_back(DivergenceTask{state.lease, std::move(shares), diverged->second});
    } else {
      pool.out.tasks.emplace_back(ReplayTask{state.lease, std::move(shares)});
    }
  }
}

void on_audit_done(PoolState& pool, const AuditDone& done, uint64_t now) {
  const Digest& id = done.lease_id;
  if (!pool.audits.running(id)) return;  // of no use meanwhile
  const verifier::Finding& finding = done.found.finding;
  if (finding.outcome == Outcome::undecided) {
    pool.audits.put_off(id, now + kAuditRetryMs);
    return pool.out.note("audit_undecided", {{"lease", short_hex(id)}, {"reason", finding.detail}},
                         Level::warning);
  }
  pool.audits.erase(id);
  const LeaseState& state = pool.known_lease(id);
  const bool wrong = finding.outcome != Outcome::valid;
  if (!wrong && done.found.index + 1 < state.shares.size())
    return want_replay(pool, state);  // nobody has looked at those that came meanwhile
  if (!wrong && state.shares.size() < state.lease.shares()) {
    judge_accusers(pool, id, wrong);  // of a part nothing is said but that it is wrong
    return;
  }
  log_verdict(pool, state, AuditKind::replay, done.found, now);
  judge_accusers(pool, id, wrong);
  if (wrong) {
    pool.due.wrong.insert(id);
    return;
  }
  pool.proven.insert(state.lease.miner_key);
  pool.due.complete.insert(id);
  pool.due.batches.insert({state.lease.job_id, state.lease.miner_key, state.batch});
  pool.due.merge.insert(state.lease.job_id);
}

void on_divergence_done(PoolState& pool, const DivergenceDone& done, uint64_t now) {
  if (!pool.audits.running(done.lease_id)) return;
  if (!done.failed.empty()) {
    pool.audits.put_off(done.lease_id, now + kAuditRetryMs);
    return pool.out.note("audit_undecided",
                         {{"lease", short_hex(done.lease_id)}, {"reason", done.failed}},
                         Level::warning);
  }
  const LeaseState& state = pool.known_lease(done.lease_id);
  if (done.shares.finding.outcome == Outcome::invalid) {
    // What came before is not what it should be: nobody learns from it where training goes.
    pool.audits.erase(done.lease_id);
    pool.diverged.erase(done.lease_id);
    log_verdict(pool, state, AuditKind::replay, done.shares, now);
    pool.due.wrong.insert(done.lease_id);
    return judge_accusers(pool, done.lease_id, true);
  }
  if (done.diverges && run_suspects(pool, state.lease.job_id)) {
    pool.audits.put_off(done.lease_id, now + kAuditRetryMs);
    return;
  }
  pool.audits.erase(done.lease_id);
  pool.diverged.erase(done.lease_id);
  if (done.diverges) return stop_job(pool, state, done.step, now);
  pool.out.note("not_diverged",
                {{"lease", short_hex(done.lease_id)}, {"step", std::to_string(done.step)}});
  pause_key(pool, state.lease, lease_ms_of(state.lease), now);
}

}  // namespace gemmine::pool
