#include "pool/core/settlement.h"

#include <algorithm>

#include "pool/core/answers.h"
#include "pool/core/audits.h"
#include "pool/core/descents.h"
#include "pool/core/granting.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::BatchId;
using verifier::BatchState;
using verifier::DrawReason;
using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;
using verifier::TicketStatus;

namespace {

std::optional<DrawReason> why_closed(const PoolState& pool, const BatchId& id,
                                     const BatchState& batch, uint64_t now) {
  const JobState& job = pool.ledger().jobs().at(id.job_id);
  if (batch.leases.size() == batch.size) return DrawReason::full;
  if (job.ended()) return DrawReason::job_ended;
  if (pool.settle_asked.contains(batch.commit)) return DrawReason::asked;
  const uint64_t idle_ms = verifier::kIdleLeases * job.work.job().audit.lease_ms;
  if (now >= batch.last_close_ms + idle_ms) return DrawReason::idle;
  return {};
}

void note_refused(PoolState& pool, const char* what, const Error& error) {
  pool.out.note(what, {{"reason", error.detail}}, Level::error);
}

// False: it is not closed yet.
bool draw(PoolState& pool, const BatchId& id, const BatchState& batch, uint64_t now) {
  const auto reason = why_closed(pool, id, batch, now);
  if (!reason) return false;
  const Digest s1 = verifier::coin_commit(pool.secret(batch.commit));
  const verifier::DrawBody body{.job_id = id.job_id,
                                .key = id.key,
                                .batch = id.number,
                                .leases = static_cast<uint32_t>(batch.leases.size()),
                                .reason = *reason,
                                .s1 = s1,
                                .asked = *reason == DrawReason::asked
                                             ? pool.settle_asked.at(batch.commit)
                                             : verifier::Signature{}};
  const auto logged = pool.book.append(RecordKind::draw, verifier::encode(body), now);
  if (!logged) {
    note_refused(pool, "draw_refused", logged.error());
    return false;
  }
  pool.settle_asked.erase(batch.commit);
  pool.out.note("batch_drawn", {{"miner", short_hex(id.key)},
                                {"batch", std::to_string(id.number)},
                                {"leases", std::to_string(body.leases)},
                                {"reason", std::string(verifier::to_string(*reason))},
                                {"tickets", std::to_string(batch.draw->tickets.size())}});
  return true;
}

// The lease of this thread is run again anyhow, which sees all that a thread sees.
bool is_replayed(const BatchState& batch, uint32_t lease) {
  const auto replays = [&](const verifier::TicketState& other) {
    return other.ticket.kind == AuditKind::replay && other.ticket.lease == lease;
  };
  return std::ranges::any_of(batch.draw->tickets, replays);
}

struct Tickets {
  bool open = false;
  bool silent = false;
};
// Begins the audits of those that are open.
Tickets look_at_tickets(PoolState& pool, const BatchId& id, const BatchState& batch, uint64_t now) {
  Tickets out;
  for (uint32_t i = 0; i < batch.draw->tickets.size(); ++i) {
    const TicketStatus status = pool.ledger().ticket_status(id, i);
    out.silent |= status == TicketStatus::silent;
    if (status != TicketStatus::open) continue;
    out.open = true;
    const verifier::TicketState& ticket = batch.draw->tickets[i];
    const LeaseState& lease = pool.known_lease(batch.leases.at(ticket.ticket.lease));
    const bool asks = asks_for_threads(pool, lease.lease);
    const bool thread = ticket.ticket.kind == AuditKind::thread;
    if (thread && asks && !is_replayed(batch, ticket.ticket.lease)) {
      want_thread(pool, lease, ticket, now);
    } else {
      want_replay(pool, lease);
    }
  }
  return out;
}

// The coin that was never shown says which silent ticket's lease is run again.
void redraw(PoolState& pool, const BatchId& id, const BatchState& batch, uint64_t now) {
  if (!batch.redraw) {
    const verifier::RedrawBody body{
        .job_id = id.job_id, .key = id.key, .batch = id.number, .s0 = pool.secret(batch.commit)};
    const auto logged = pool.book.append(RecordKind::redraw, verifier::encode(body), now);
    if (!logged) return note_refused(pool, "redraw_refused", logged.error());
  }
  const uint32_t chosen = batch.draw->tickets.at(batch.redraw->ticket).ticket.lease;
  want_replay(pool, pool.known_lease(batch.leases.at(chosen)));
}

void settle(PoolState& pool, const BatchId& id, const BatchState& batch, uint64_t now) {
  const auto due = pool.ledger().settlement(id);
  if (!due) return;
  const verifier::SettleBody body{.job_id = id.job_id,
                                  .key = id.key,
                                  .batch = id.number,
                                  .outcome = due.value().outcome,
                                  .paid = static_cast<uint32_t>(due.value().paid.size())};
  const auto logged = pool.book.append(RecordKind::settle, verifier::encode(body), now);
  if (!logged) return note_refused(pool, "settle_refused", logged.error());
  pool.drop_secret(batch.commit);
  pool.due.finish.insert(id.job_id);
  pool.due.merge.insert(id.job_id);
  pool.out.note("batch_settled",
                {{"miner", short_hex(id.key)},
                 {"batch", std::to_string(id.number)},
                 {"outcome", std::string(verifier::to_string(body.outcome))},
                 {"paid", std::to_string(body.paid)},
                 {"of", std::to_string(batch.leases.size())}},
                body.outcome == verifier::SettleOutcome::paid ? Level::info : Level::warning);
}

}  // namespace

std::vector<BatchId> unsettled_batches(const PoolState& pool, const Digest& key) {
  std::vector<BatchId> out;
  const std::set<BatchId>& all = pool.ledger().unsettled();
  for (const auto& [job_id, room] : pool.rooms) {
    for (auto at = all.lower_bound({job_id, key, 0}); at != all.end(); ++at) {
      if (at->job_id != job_id || at->key != key) break;
      out.push_back(*at);
    }
  }
  return out;
}

void on_settle(PoolState& pool, const Peer& peer, const Settle& settle, uint32_t seq) {
  const auto id = pool.ledger().batch_of(settle.batch_commit);
  if (!id || id->key != peer.key)
    return pool.refuse(peer.id, seq, WireError::unknown_lease, "this key has no such batch");
  const BatchState& batch = *pool.ledger().batch(*id);
  if (batch.draw || batch.settled || batch.leases.empty()) return;  // there is nothing to settle
  // Not remembered: the key's next leases are to come into this batch.
  if (batch.leases.size() < pool.ledger().jobs().at(id->job_id).work.job().audit.first_batch)
    return pool.refuse(peer.id, seq, WireError::too_many,
                       "the batch has less than first_batch leases", kManyLeasesRetryMs);
  if (!verifier::verify_signature(peer.key, verifier::settle_message(batch.commit),
                                  settle.signature))
    return pool.refuse(peer.id, seq, WireError::bad_signature, "SETTLE is not signed by this key");
  pool.settle_asked[batch.commit] = settle.signature;
  pool.due.batches.insert(*id);
}

void look_at_batch(PoolState& pool, const BatchId& id, uint64_t now) {
  const BatchState* const batch = pool.ledger().batch(id);
  if (batch == nullptr || batch->settled || batch->leases.empty() || batch->open > 0) return;
  if (pool.room(id.job_id) == nullptr) return;
  const bool banned = pool.ledger().members().at(id.key).banned;
  if (!banned) {
    if (!batch->draw && !draw(pool, id, *batch, now)) return;
    const Tickets tickets = look_at_tickets(pool, id, *batch, now);
    if (!tickets.open && tickets.silent) redraw(pool, id, *batch, now);
    if (descends(pool, id)) return;  // what is asked about may end in a ban
  }
  settle(pool, id, *batch, now);
}

void look_at_batches(PoolState& pool, uint64_t now) {
  const std::set<BatchId> all = pool.ledger().unsettled();
  for (const BatchId& id : all)
    look_at_batch(pool, id, now);
}

}  // namespace gemmine::pool
