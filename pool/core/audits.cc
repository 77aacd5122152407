#include "pool/core/audits.h"

#include <algorithm>

#include "pool/core/answer_time.h"
#include "pool/core/closing.h"
#include "pool/core/transfers.h"
#include "pool/core/verdicts.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::LeaseState;
using verifier::Outcome;

namespace {

void send_challenge(PoolState& pool, const ShareKey& key, const Audit& audit, uint64_t now) {
  GEMMINE_CHECK(audit.stage == Audit::Stage::waiting_answer);
  const uint64_t left = audit.due_ms > now ? audit.due_ms - now : 0;
  const auto shown = static_cast<uint32_t>(std::min<uint64_t>(left, UINT32_MAX));
  pool.tell_miner(pool.known_lease(key.lease_id).lease.miner_key,
                  Challenge{key.lease_id, key.index, audit.seed, shown});
}

// Challenges that a key has not answered yet.
uint32_t waiting_of(const PoolState& pool, const Digest& miner) {
  uint32_t waiting = 0;
  const auto open = pool.open_leases.find(miner);
  if (open == pool.open_leases.end()) return 0;
  for (const Digest& lease_id : open->second) {
    for (const ShareKey& key : pool.audits.of_lease(lease_id))
      waiting += pool.audits.waits(key) ? 1 : 0;
  }
  return waiting;
}

// The challenge has its answer, or will never have it: the miner's deadline gets the time back.
void end_waiting(PoolState& pool, const ShareKey& key, const Audit& audit, uint64_t now) {
  GEMMINE_CHECK(audit.stage == Audit::Stage::waiting_answer);
  pool.lease_notes[key.lease_id].asked_ms += now > audit.asked_ms ? now - audit.asked_ms : 0;
}

void unanswered(PoolState& pool, const ShareKey& key, uint64_t now) {
  const LeaseState& state = pool.known_lease(key.lease_id);
  const Audit before = *pool.audits.find(key);
  end_waiting(pool, key, before, now);
  pool.lease_notes[key.lease_id].unanswered = true;
  log_verdict(pool, key, AuditKind::unanswered,
              {Outcome::undecided, verifier::kNoStep,
               "the challenge was not answered in time: the pool runs the share itself"},
              now);
  pause_key(pool, state.lease.miner_key, now);
  drop_openings(pool, key);
  begin_replay(pool, state, key.index, before.required);
  pool.audits.find(key)->doubted = before.doubted;
}

}  // namespace

void begin_audit(PoolState& pool, const LeaseState& state, uint32_t index, AuditKind kind,
                 const Digest& seed, uint64_t now, uint64_t grace_ms) {
  GEMMINE_CHECK(kind == AuditKind::replay || kind == AuditKind::spot);
  GEMMINE_CHECK(index < state.shares.size());
  if (kind == AuditKind::replay) return begin_replay(pool, state, index, true);
  const Digest& miner = state.lease.miner_key;
  const verifier::Work& work = pool.work_of(state.lease);
  Audit audit;
  audit.kind = AuditKind::spot;
  audit.stage = Audit::Stage::waiting_answer;
  audit.seed = seed;
  audit.asked_ms = now;
  const uint64_t macs = state.shares[index].share.macs;
  audit.due_ms = now + grace_ms +
                 answer_time_ms(work, pool.paces_of(miner), macs, waiting_of(pool, miner) + 1);
  audit.blocks = work.job().audit.spot_blocks;
  const ShareKey key{state.lease.id, index};
  send_challenge(pool, key, pool.audits.add(key, audit), now);
}

void begin_replay(PoolState& pool, const LeaseState& state, uint32_t index, bool required) {
  GEMMINE_CHECK(index < state.shares.size());
  Audit audit;
  audit.kind = AuditKind::replay;
  audit.required = required;
  pool.audits.add({state.lease.id, index}, audit);
  ReplayTask task{state.lease, {}};
  for (uint32_t i = 0; i <= index; ++i)
    task.shares.push_back(state.shares[i].share);
  pool.out.tasks.emplace_back(std::move(task));
}

void ask_again(PoolState& pool, const Digest& lease_id, uint64_t now) {
  for (const ShareKey& key : pool.audits.of_lease(lease_id)) {
    if (!pool.audits.waits(key)) continue;
    const Audit& audit = *pool.audits.find(key);
    send_challenge(pool, key, audit, now);
    if (audit.had > 0)
      pool.tell_miner(pool.known_lease(lease_id).lease.miner_key,
                      Have{lease_id, key.index, audit.had});
  }
}

void stop_asking(PoolState& pool, const Digest& lease_id) {
  const LeaseState& state = pool.known_lease(lease_id);
  for (const ShareKey& key : pool.audits.of_lease(lease_id)) {
    if (!pool.audits.waits(key)) continue;
    drop_openings(pool, key);
    begin_replay(pool, state, key.index, true);
  }
}

uint64_t lease_end_ms(const PoolState& pool, const LeaseState& state, uint64_t now) {
  GEMMINE_CHECK(!state.closed);
  const auto found = pool.lease_notes.find(state.lease.id);
  const LeaseNotes notes = found == pool.lease_notes.end() ? LeaseNotes{} : found->second;
  uint64_t asked = notes.asked_ms;
  for (const auto& [key, audit] : pool.audits.pending_of(state.lease.id)) {
    if (audit.stage == Audit::Stage::waiting_answer && now > audit.asked_ms)
      asked += now - audit.asked_ms;
  }
  const uint64_t most = state.lease.deadline_ms > state.lease.issued_ms
                            ? state.lease.deadline_ms - state.lease.issued_ms
                            : 0;
  return state.lease.deadline_ms + notes.away_ms + std::min(asked, most);
}

void on_opening(PoolState& pool, const Peer& peer, uint32_t seq, OpeningMessage& message,
                uint64_t now) {
  const ShareKey key{message.lease_id, message.index};
  const LeaseState* const state = pool.lease(key.lease_id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return pool.refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  Audit* const audit = pool.audits.find(key);
  const bool asked = audit != nullptr && audit->kind == AuditKind::spot &&
                     audit->stage != Audit::Stage::waiting_retry && message.block < audit->blocks &&
                     !message.opening.empty();
  if (!asked)
    return pool.refuse(peer.id, seq, WireError::not_challenged, "nobody asked for this opening");
  // The first answer counts: a second one could depend on the first one's fate.
  if (message.block < audit->taken)
    return pool.out.send(peer.id, Have{key.lease_id, key.index, audit->had});
  if (message.block != audit->taken)
    return pool.refuse(peer.id, seq, WireError::out_of_order,
                       "block " + std::to_string(audit->taken) + " comes next", kOutOfOrderMs);
  GEMMINE_CHECK(audit->stage == Audit::Stage::waiting_answer);
  // It is on its way: a slow line gets the time that the rest needs.
  const uint64_t line = opening_line_ms(pool.work_of(state->lease));
  const Sender from{peer.id, seq};
  if (!wait_for_disk(pool, from, message.opening.size())) {
    audit->due_ms = std::max(audit->due_ms, now + 2 * kDiskBehindMs + line * audit->blocks);
    return;
  }
  ++audit->taken;
  audit->due_ms = std::max(audit->due_ms, now + line * (audit->blocks - audit->taken));
  if (audit->taken == audit->blocks) {
    // All of it came in time, however long the disk takes.
    end_waiting(pool, key, *audit, now);
    audit->stage = Audit::Stage::running;
    audit->due_ms = now;
  }
  pool.out.disk.emplace_back(
      StoreOpening{from, key.lease_id, key.index, message.block, std::move(message.opening)});
}

void on_opening_stored(PoolState& pool, const OpeningStored& done, uint64_t now) {
  pool.uploads.waited_for_disk(done.bytes);
  const ShareKey key{done.lease_id, done.share};
  Audit* const audit = pool.audits.find(key);
  if (audit == nullptr || audit->kind != AuditKind::spot) return;  // over meanwhile
  const LeaseState& state = pool.known_lease(key.lease_id);
  if (done.stored != Stored::yes) {
    if (audit->stage == Audit::Stage::running) audit->asked_ms = now;
    audit->stage = Audit::Stage::waiting_answer;
    audit->taken = audit->had;
    audit->due_ms =
        std::max(audit->due_ms, now + 2 * kDiskFailedMs +
                                    opening_line_ms(pool.work_of(state.lease)) * audit->blocks);
    pool.out.note("opening_failed", {{"lease", short_hex(key.lease_id)}, {"reason", done.why}},
                  Level::error);
    return pool.refuse(done.from.id, done.from.seq, WireError::internal, kDiskInTrouble,
                       kDiskFailedMs);
  }
  GEMMINE_CHECK(audit->had < audit->blocks);
  ++audit->had;
  pool.tell_miner(state.lease.miner_key, Have{key.lease_id, key.index, audit->had});
  if (audit->had < audit->blocks) return;
  pool.out.tasks.emplace_back(SpotTask{.lease = state.lease,
                                       .share = state.shares[key.index].share,
                                       .last_share = key.index + 1 == state.lease.shares(),
                                       .seed = audit->seed,
                                       .blocks = audit->blocks});
}

void on_audit_done(PoolState& pool, const AuditDone& done, uint64_t now) {
  const ShareKey key{done.lease_id, done.index};
  Audit* const audit = pool.audits.find(key);
  // Condemned or cancelled meanwhile; or a spot check whose share is being replayed by now.
  if (audit == nullptr || audit->stage != Audit::Stage::running) return;
  GEMMINE_CHECK(done.found_index <= done.index);
  if (done.finding.outcome == Outcome::undecided) {
    audit->stage = Audit::Stage::waiting_retry;
    audit->due_ms = now + kAuditRetryMs;
    return pool.out.note("audit_undecided",
                         {{"lease", short_hex(key.lease_id)}, {"reason", done.finding.detail}},
                         Level::warning);
  }
  log_verdict(pool, {key.lease_id, done.found_index}, done.kind, done.finding, now);
  const bool doubted = audit->doubted;
  pool.audits.erase(key);
  if (done.finding.outcome != Outcome::valid) {
    pool.due.wrong.insert(key.lease_id);
    return;
  }
  const LeaseState& state = pool.known_lease(key.lease_id);
  if (doubted) doubt(pool, state, key.index);
  pool.due.complete.insert(key.lease_id);
  pool.due.merge.insert(state.lease.job_id);
}

void check_deadlines(PoolState& pool, uint64_t now) {
  std::vector<ShareKey> late;
  std::vector<ShareKey> again;
  for (const auto& [key, audit] : pool.audits.pending()) {
    if (audit.stage == Audit::Stage::running || now < audit.due_ms) continue;
    (audit.stage == Audit::Stage::waiting_retry ? again : late).push_back(key);
  }
  for (const ShareKey& key : again) {
    // Openings of a spot check are gone with their task; a replay decides without them.
    const Audit before = *pool.audits.find(key);
    begin_replay(pool, pool.known_lease(key.lease_id), key.index, before.required);
    pool.audits.find(key)->doubted = before.doubted;
  }
  for (const ShareKey& key : late)
    unanswered(pool, key, now);
}

}  // namespace gemmine::pool
