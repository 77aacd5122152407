#include "pool/core/audits.h"

#include <algorithm>

#include "pool/core/closing.h"
#include "pool/core/descents.h"
#include "pool/core/repairs.h"
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

}  // namespace

bool run_suspects(PoolState& pool, const Digest& job_id) {
  const std::vector<Digest> suspects = pool.ledger().suspects(job_id);
  for (const Digest& id : suspects)
    add(pool, pool.known_lease(id), Turn::proven);
  return !suspects.empty();
}

void want_replay(PoolState& pool, const LeaseState& state) {
  add(pool, state, turn_of(pool.standing(state.lease.miner_key)));
}

void end_doubts(PoolState& pool, const Digest& lease_id, Doubted how) {
  const auto found = pool.accusers.find(lease_id);
  if (found == pool.accusers.end()) return;
  for (const Digest& auditor : found->second) {
    AuditorNotes& notes = pool.auditors[auditor];
    GEMMINE_CHECK(notes.accused > 0);
    if (how == Doubted::right) ++notes.confirmed;
    if (how == Doubted::undecided && --notes.accused == 0) pool.auditors.erase(auditor);
  }
  pool.accusers.erase(found);
}

void look_at_doubts(PoolState& pool, const LeaseState& state) {
  const auto found = pool.accusers.find(state.lease.id);
  if (found == pool.accusers.end() || !state.closed || state.shares.empty()) return;
  const bool listed =
      std::ranges::any_of(found->second, [&](const Digest& key) { return pool.listed(key); });
  if (add(pool, state, listed ? Turn::proven : Turn::doubt)) return;
  end_doubts(pool, state.lease.id,
             state.wrong      ? Doubted::right
             : state.replayed ? Doubted::lied
                              : Doubted::undecided);
}

void look_at_divergence(PoolState& pool, const LeaseState& state, uint32_t step) {
  const verifier::JobState& job = pool.ledger().jobs().at(state.lease.job_id);
  const auto next = static_cast<uint32_t>(state.shares.size());
  const bool possible = !job.ended() && state.lease.round == job.round &&
                        next < state.lease.shares() && step >= state.lease.first_step(next) &&
                        step - state.lease.first_step(next) < state.lease.steps_of(next);
  const Digest& id = state.lease.id;
  // The next one to get there says so, too.
  if (!possible || (pool.audits.full() && !pool.audits.contains(id))) return;
  // Somebody's doubt may have it run already: that says nothing of what comes behind its shares.
  pool.diverged[id] = step;
  if (pool.audits.running(id)) return;
  pool.audits.add(id, turn_of(pool.standing(state.lease.miner_key)), macs_of(pool, state.lease));
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
  const LeaseState& state = pool.known_lease(id);
  const bool wrong = finding.outcome != Outcome::valid;
  if (!wrong && done.found.index + 1 < state.shares.size()) {
    pool.audits.erase(id);
    return want_replay(pool, state);  // nobody has looked at those that came meanwhile
  }
  if (!wrong && state.shares.size() < state.lease.shares()) {
    pool.audits.erase(id);
    end_doubts(pool, id, Doubted::lied);  // of a part nothing is said but that it is wrong
    if (pool.diverged.contains(id))
      pool.audits.add(id, turn_of(pool.standing(state.lease.miner_key)),
                      macs_of(pool, state.lease));
    return;
  }
  // What the ledger does not take was said of nobody.
  if (!log_verdict(pool, state, AuditKind::replay, done.found, now))
    return pool.audits.put_off(id, now + kAuditRetryMs);
  pool.audits.erase(id);
  pool.diverged.erase(id);
  pool.due.diverged.insert(state.lease.job_id);
  end_doubts(pool, id, wrong ? Doubted::right : Doubted::lied);
  if (wrong) return begin_descent(pool, id, done.next, now);
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
    if (!log_verdict(pool, state, AuditKind::replay, done.shares, now))
      return pool.audits.put_off(done.lease_id, now + kAuditRetryMs);
    pool.audits.erase(done.lease_id);
    pool.diverged.erase(done.lease_id);
    pool.due.wrong.insert(done.lease_id);
    return end_doubts(pool, done.lease_id, Doubted::right);
  }
  pool.audits.erase(done.lease_id);
  pool.diverged.erase(done.lease_id);
  end_doubts(pool, done.lease_id, Doubted::lied);
  if (done.diverges) return training_diverges(pool, state, done.step);
  pool.out.note("not_diverged",
                {{"lease", short_hex(done.lease_id)}, {"step", std::to_string(done.step)}});
  pause_key(pool, state.lease, lease_ms_of(state.lease), now);
}

}  // namespace gemmine::pool
