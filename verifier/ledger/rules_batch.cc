// Rules of settlement: which leases of a batch are audited, and what it earns then (PROTOCOL 13).
#include "verifier/ledger/data.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {

namespace {

// A batch that is not drawn may be closed for this reason at this time (PROTOCOL 13.3).
Status check_closing(const JobState& job, const BatchState& batch, const DrawBody& body,
                     uint64_t time_ms) {
  if (body.reason != DrawReason::asked && body.asked != Signature{})
    return invalid("the miner's signature belongs to asked only");
  switch (body.reason) {
    case DrawReason::full:
      if (batch.leases.size() == batch.size) return Ok{};
      return invalid("the batch is not full");
    case DrawReason::asked:
      // Every batch costs the pool its tickets: it is no smaller than a new key's.
      if (batch.leases.size() < job.work.job().audit.first_batch)
        return invalid("the batch has less than first_batch leases");
      if (verify_signature(body.key, settle_message(batch.commit), body.asked)) return Ok{};
      return invalid("the miner did not ask for it");
    case DrawReason::job_ended:
      if (job.ended()) return Ok{};
      return invalid("the job has not ended");
    case DrawReason::idle:
      if (time_ms >= batch.last_close_ms + kIdleLeases * job.work.job().audit.lease_ms) return Ok{};
      return invalid("the batch has not been idle for so long");
  }
  return malformed("unknown reason");
}

DrawState draw_batch(const LedgerData& data, const AuditPolicy& policy, const BatchState& batch,
                     const Digest& s1) {
  DrawState out;
  out.s1 = s1;
  std::vector<Digest> ids;
  for (const Digest& id : batch.leases) {
    const std::vector<Digest> of_lease = share_ids(data.leases.at(id));
    ids.insert(ids.end(), of_lease.begin(), of_lease.end());
  }
  out.seed = batch_seed(s1, ids);
  const auto leases = static_cast<uint32_t>(batch.leases.size());
  for (const Ticket& ticket : draw_tickets(policy, leases, out.seed)) {
    const auto number = static_cast<uint32_t>(out.tickets.size());
    const bool thread = ticket.kind == AuditKind::thread;
    const Digest& lease_id = batch.leases.at(ticket.lease);
    out.tickets.push_back(
        {ticket, thread ? ticket_seed(out.seed, lease_id, number) : Digest{}, std::nullopt});
  }
  GEMMINE_CHECK(!out.tickets.empty());  // nothing is paid unaudited (PROTOCOL 9)
  return out;
}

// The batch's silent tickets, by their number. Errors: invalid while one lacks its verdict.
Result<std::vector<uint32_t>> silent_tickets(const LedgerData& data, const BatchState& batch) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < batch.draw->tickets.size(); ++i) {
    const TicketStatus status = ticket_status(data, batch, i);
    if (status == TicketStatus::open)
      return invalid("ticket " + std::to_string(i) + " has no verdict");
    if (status == TicketStatus::silent) out.push_back(i);
  }
  return out;
}

Settlement forfeited() {
  return {SettleOutcome::forfeited, {}, false};
}

// Leases that are paid: all but those found wrong and `unpaid`, and of the rest the first `count`.
std::vector<Digest> first_paid(const LedgerData& data, const BatchState& batch,
                               const Digest& unpaid, size_t count) {
  std::vector<Digest> out;
  for (const Digest& id : batch.leases) {
    if (out.size() == count) break;
    if (id != unpaid && !data.leases.at(id).wrong) out.push_back(id);
  }
  return out;
}

// Tickets that failed, and leases found wrong that none was drawn for. Two tickets on one lease are
// two: else a batch of nothing but stolen leases would get off with a fine whenever they meet.
size_t failures(const LedgerData& data, const BatchState& batch) {
  size_t out = 0;
  std::vector<bool> drawn(batch.leases.size());
  for (uint32_t i = 0; i < batch.draw->tickets.size(); ++i) {
    drawn[batch.draw->tickets[i].ticket.lease] = true;
    out += ticket_status(data, batch, i) == TicketStatus::wrong ? 1 : 0;
  }
  for (size_t i = 0; i < drawn.size(); ++i)
    out += !drawn[i] && data.leases.at(batch.leases[i]).wrong ? 1 : 0;
  return out;
}

// Every ticket has its verdict, and the one that the redraw named its replay. failed: failures().
Settlement settle_judged(const LedgerData& data, const JobState& job, const KeyState& key,
                         const BatchState& batch, size_t failed) {
  const auto leases = static_cast<uint32_t>(batch.leases.size());
  if (failed > 1 || (failed == 1 && batch.redraw)) return forfeited();
  if (failed == 1) {
    const uint32_t lost = fine_of(job.work.job().audit, leases);
    return {SettleOutcome::fined, first_paid(data, batch, {}, leases - lost), false};
  }
  if (!batch.redraw) return {SettleOutcome::paid, batch.leases, false};
  const Digest& replayed = batch.leases[batch.draw->tickets[batch.redraw->ticket].ticket.lease];
  const bool free = free_silences(job, key) > 0;
  return {SettleOutcome::paid, first_paid(data, batch, free ? Digest{} : replayed, leases), true};
}

}  // namespace

BatchId batch_id(const LeaseState& lease) {
  return {lease.lease.job_id, lease.lease.miner_key, lease.batch};
}

const BatchState* find_batch(const LedgerData& data, const BatchId& id) {
  const KeyState* const key = find_in(data.keys, {id.job_id, id.key});
  if (key == nullptr || id.number >= key->batches.size()) return nullptr;
  return &key->batches[id.number];
}
BatchState* find_batch(LedgerData& data, const BatchId& id) {
  KeyState* const key = find_in(data.keys, {id.job_id, id.key});
  if (key == nullptr || id.number >= key->batches.size()) return nullptr;
  return &key->batches[id.number];
}

TicketStatus ticket_status(const LedgerData& data, const BatchState& batch, uint32_t ticket) {
  GEMMINE_CHECK(batch.draw && ticket < batch.draw->tickets.size());
  const TicketState& state = batch.draw->tickets[ticket];
  const LeaseState& lease = data.leases.at(batch.leases.at(state.ticket.lease));
  if (lease.wrong) return TicketStatus::wrong;
  if (lease.replayed) return TicketStatus::right;  // it saw all that a thread sees
  if (!state.challenge) return TicketStatus::open;
  const std::optional<Outcome>& outcome = data.challenges.at(*state.challenge).outcome;
  if (!outcome) return TicketStatus::open;
  return *outcome == Outcome::valid ? TicketStatus::right : TicketStatus::silent;
}

uint32_t free_silences(const JobState& job, const KeyState& key) {
  const uint32_t all = 1 + key.paid / job.work.job().audit.silent_free;
  return all > key.silences ? all - key.silences : 0;
}

Result<Settlement> settlement(const LedgerData& data, const BatchId& id) {
  const BatchState* const batch = find_batch(data, id);
  if (batch == nullptr || batch->leases.empty()) return invalid("no such batch");
  if (batch->settled) return invalid("the batch is already settled");
  const JobState* const job = find_in(data.jobs, id.job_id);
  const KeyState* const key = find_in(data.keys, {id.job_id, id.key});
  GEMMINE_CHECK(job != nullptr && key != nullptr);
  if (batch->open > 0) return invalid("a lease of the batch is open");
  if (data.members.at(id.key).banned) return forfeited();
  if (!batch->draw) return invalid("the batch is not drawn");
  const size_t failed = failures(data, *batch);
  if (failed > 1) return forfeited();  // whatever the other tickets say
  const auto silent = silent_tickets(data, *batch);
  if (!silent) return silent.error();
  if (failed == 0 && !silent.value().empty()) {
    if (!batch->redraw) return invalid("a ticket is silent and there was no redraw");
    if (ticket_status(data, *batch, batch->redraw->ticket) == TicketStatus::silent)
      return invalid("the silent ticket's lease lacks its replay");
  } else if (failed == 1 && !silent.value().empty()) {
    return forfeited();
  }
  return settle_judged(data, *job, *key, *batch, failed);
}

Status apply_draw(LedgerData& data, const Record& record) {
  const auto decoded = decode<DrawBody>(record.body);
  if (!decoded) return decoded.error();
  const DrawBody& body = decoded.value();
  BatchState* const batch = find_batch(data, {body.job_id, body.key, body.batch});
  if (batch == nullptr) return invalid("no such batch");
  if (batch->draw || batch->settled) return invalid("the batch is already drawn");
  if (batch->leases.empty()) return invalid("the batch has no complete lease");
  // Whoever knows the seed must not be able to add to what it is drawn from.
  if (batch->open > 0) return invalid("a lease of the batch is open");
  if (body.leases != batch->leases.size()) return invalid("the batch has another number of leases");
  if (data.members.at(body.key).banned) return invalid("the key is banned");
  if (coin_commit(body.s1) != batch->commit)
    return invalid("the secret is not the one committed to");
  const JobState& job = data.jobs.at(body.job_id);
  if (Status closing = check_closing(job, *batch, body, record.time_ms); !closing) return closing;

  DrawState drawn = draw_batch(data, job.work.job().audit, *batch, body.s1);
  drawn.seq = record.seq;
  drawn.time_ms = record.time_ms;
  drawn.reason = body.reason;
  batch->draw = std::move(drawn);
  return Ok{};
}

Status apply_redraw(LedgerData& data, const Record& record) {
  const auto decoded = decode<RedrawBody>(record.body);
  if (!decoded) return decoded.error();
  const RedrawBody& body = decoded.value();
  BatchState* const batch = find_batch(data, {body.job_id, body.key, body.batch});
  if (batch == nullptr) return invalid("no such batch");
  if (!batch->draw) return invalid("the batch is not drawn");
  if (batch->settled) return invalid("the batch is settled");
  if (batch->redraw) return invalid("the batch is already redrawn");
  if (coin_commit(body.s0) != batch->draw->s1)
    return invalid("the secret is not the one committed to");
  const auto silent = silent_tickets(data, *batch);
  if (!silent) return silent.error();
  if (silent.value().empty()) return invalid("no ticket is silent");

  const uint32_t chosen =
      silent_ticket(body.s0, batch->draw->seed, static_cast<uint32_t>(silent.value().size()));
  batch->redraw = RedrawState{body.s0, silent.value().at(chosen)};
  return Ok{};
}

Status apply_settle(LedgerData& data, const Record& record) {
  const auto decoded = decode<SettleBody>(record.body);
  if (!decoded) return decoded.error();
  const SettleBody& body = decoded.value();
  const BatchId id{body.job_id, body.key, body.batch};
  const auto due = settlement(data, id);
  if (!due) return due.error();
  if (body.outcome != due.value().outcome || body.paid != due.value().paid.size())
    return invalid("the verdicts say: " + std::string(to_string(due.value().outcome)) + ", " +
                   std::to_string(due.value().paid.size()) + " leases paid");
  JobState& job = data.jobs.at(id.job_id);
  PostingSheet sheet;
  for (const Digest& lease_id : due.value().paid)
    post_paid(sheet, data, job, data.leases.at(lease_id));
  auto post = sheet.settle(data, record.seq);
  if (!post) return post.error();

  KeyState& key = data.keys.at({id.job_id, id.key});
  BatchState& batch = key.batches.at(id.number);
  for (const Digest& lease_id : due.value().paid)
    data.leases.at(lease_id).paid = true;
  if (body.outcome != SettleOutcome::paid) {
    // Nobody pays for them, and nobody vouches for them.
    for (const Digest& lease_id : batch.leases) {
      LeaseState& lease = data.leases.at(lease_id);
      if (!lease.paid && !lease.right && !lease.wrong) strike(data, lease, record.seq);
    }
  }
  batch.settled = body.outcome;
  key.paid += body.paid;
  if (due.value().silent) ++key.silences;
  GEMMINE_CHECK(job.unsettled_leases >= batch.leases.size());
  job.unsettled_leases -= batch.leases.size();
  GEMMINE_CHECK(data.unsettled.erase(id) == 1);
  data.pending = std::move(post.value());
  return Ok{};
}

}  // namespace gemmine::verifier
