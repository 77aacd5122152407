#include "pool/core/descents.h"

#include <algorithm>

#include "pool/core/answers.h"
#include "pool/core/proofs.h"

namespace gemmine::pool {

using verifier::Asked;
using verifier::ChallengeState;
using verifier::ChallengeWhy;
using verifier::DescentStep;
using verifier::LeaseState;

namespace {

void post(PoolState& pool, const LeaseState& state) {
  DescentNotes& notes = pool.descents.at(state.lease.id);
  notes.again_ms = 0;
  DescentTask task{.lease = state.lease, .shares = {}, .index = state.wrong->index, .answers = {}};
  for (const verifier::ShareState& share : state.shares)
    task.shares.push_back(share.share);
  for (const uint64_t seq : state.challenges) {
    const ChallengeState& asked = pool.ledger().challenges().at(seq);
    if (asked.why != ChallengeWhy::descent || !asked.answer) continue;
    task.answers.push_back({.challenge = seq,
                            .what = asked.what,
                            .address = asked.answer->address,
                            .bytes = asked.answer->bytes,
                            .signature = asked.answer->signature});
  }
  pool.out.tasks.emplace_back(std::move(task));
}

// The descent is over, with a proof or without.
void end(PoolState& pool, const Digest& lease_id, const std::string& why) {
  pool.descents.erase(lease_id);
  pool.out.note("descent_ended", {{"lease", short_hex(lease_id)}, {"reason", why}});
  pool.due.wrong.insert(lease_id);
}

void ask(PoolState& pool, const LeaseState& state, const DescentStep& step, uint64_t now) {
  const bool thread = step.next == DescentStep::Next::thread;
  const Bytes question = thread ? Bytes{} : encode(step.question);
  const Challenge challenge{
      .why = ChallengeWhy::descent,
      .what = thread ? Asked::thread : step.question.asked,
      .question = thread ? step.seed : verifier::question_digest(step.question),
      .text = question};
  if (!ask_miner(pool, state, challenge, now))
    end(pool, state.lease.id, "the question could not be logged");
}

void take(PoolState& pool, const LeaseState& state, const DescentNext& next, uint64_t now) {
  const Digest id = state.lease.id;
  if (!next.failed.empty()) {
    pool.descents.at(id).again_ms = now + kAuditRetryMs;
    return pool.out.note("descent_put_off", {{"lease", short_hex(id)}, {"reason", next.failed}},
                         Level::warning);
  }
  switch (next.step.next) {
    case DescentStep::Next::ask:
    case DescentStep::Next::thread:
      return ask(pool, state, next.step, now);
    case DescentStep::Next::accuse:
      GEMMINE_CHECK(next.proven);
      log_proof(pool, *next.proven, nullptr, now);
      return end(pool, id, "proven");
    case DescentStep::Next::nothing:
      return end(pool, id, next.step.words);
  }
}

}  // namespace

void begin_descent(PoolState& pool, const Digest& lease_id, const DescentNext& next, uint64_t now) {
  const LeaseState& state = pool.known_lease(lease_id);
  if (!state.wrong) return;  // the ledger refused the verdict
  pool.descents[lease_id] = {};
  pool.due.merge.insert(state.lease.job_id);  // its slot may be free
  take(pool, state, next, now);
}

void on_descent_done(PoolState& pool, const DescentDone& done, uint64_t now) {
  if (!pool.descents.contains(done.lease_id)) return;  // a proof came from elsewhere
  const LeaseState& state = pool.known_lease(done.lease_id);
  if (state.proof || pool.ledger().jobs().at(state.lease.job_id).finished)
    return end(pool, done.lease_id, "it is of no use any more");
  take(pool, state, done.next, now);
}

void on_descent_answer(PoolState& pool, const Digest& lease_id) {
  if (pool.descents.contains(lease_id)) post(pool, pool.known_lease(lease_id));
}

void on_descent_silence(PoolState& pool, const Digest& lease_id) {
  if (pool.descents.contains(lease_id)) end(pool, lease_id, "the miner does not answer");
}

void look_at_descents(PoolState& pool, uint64_t now) {
  for (const auto& [id, notes] : pool.descents)
    if (notes.again_ms != 0 && now >= notes.again_ms) post(pool, pool.known_lease(id));
}

bool resume_descent(PoolState& pool, const LeaseState& state) {
  const auto& batch = pool.ledger().batch({state.lease.job_id, state.lease.miner_key, state.batch});
  const JobRoom* const place = pool.room(state.lease.job_id);
  const bool open = state.wrong && !state.proof && batch != nullptr && !batch->settled &&
                    place != nullptr && state.lease.round >= place->first_kept;
  if (!open) return false;
  // One that was begun, and in which every question was answered, or may still be.
  bool begun = false;
  for (const uint64_t seq : state.challenges) {
    const ChallengeState& asked = pool.ledger().challenges().at(seq);
    if (asked.why != ChallengeWhy::descent) continue;
    if (asked.outcome) return false;
    begun = true;
  }
  if (!begun) return false;
  pool.descents[state.lease.id] = {};
  post(pool, state);
  return true;
}

bool descends(const PoolState& pool, const verifier::BatchId& batch) {
  return std::ranges::any_of(pool.descents, [&](const auto& entry) {
    const LeaseState& state = pool.known_lease(entry.first);
    return verifier::BatchId{state.lease.job_id, state.lease.miner_key, state.batch} == batch;
  });
}

}  // namespace gemmine::pool
