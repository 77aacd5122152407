#include "pool/core/pool.h"

#include <algorithm>

#include "pool/net/frame.h"

namespace gemmine::pool {

using verifier::RecordKind;

Pool::Pool(Book book, const verifier::Identity& identity, PoolOptions options)
    : book_(std::move(book)),
      identity_(identity),
      options_(std::move(options)),
      sessions_(identity.public_key(), options_.idle_ms),
      uploads_(options_.upload_bytes) {
  for (const auto& [id, state] : ledger().leases())
    next_serial_ = std::max(next_serial_, state.lease.serial + 1);
}

Status Pool::add_job(const verifier::Work& work, const Digest& theta_root,
                     std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now) {
  const Digest id = work.id();
  if (!ledger().jobs().contains(id)) {
    const auto added =
        book_.append(RecordKind::job, verifier::job_body(work.bytes(), theta_root), now);
    if (!added) return added.error();
    if (fund > 0) {
      const auto funded = book_.append(RecordKind::fund, verifier::fund_body(id, fund), now);
      if (!funded) return funded.error();
    }
    out_.note("job_added", {{"job", work.job().name}, {"id", to_hex(id.bytes)}});
  }
  rooms_.insert_or_assign(id, JobRoom{.work = &ledger().jobs().at(id).work,
                                      .start_roots = std::move(start_roots),
                                      .results = {}});
  return Ok{};
}

JobRoom* Pool::room(const Digest& job_id) {
  const auto found = rooms_.find(job_id);
  return found == rooms_.end() ? nullptr : &found->second;
}

const verifier::LeaseState* Pool::lease(const Digest& lease_id) const {
  const auto found = ledger().leases().find(lease_id);
  return found == ledger().leases().end() ? nullptr : &found->second;
}

void Pool::on_open(ConnId id, const Digest& channel_binding, const Digest& server_random,
                   uint64_t now) {
  sessions_.open(id, channel_binding, server_random, now);
}

void Pool::on_close(ConnId id) {
  sessions_.close(id);
}

void Pool::refuse(ConnId to, uint32_t seq, WireError code, const std::string& text,
                  uint32_t retry_after_ms) {
  out_.send(to, ErrorMessage{seq, code, retry_after_ms, text});
  if (closes(code)) out_.hangups.push_back({to, std::string(to_string(code)) + ": " + text});
}

void Pool::on_frame(ConnId id, uint8_t type, uint8_t flags, uint32_t seq, ByteView payload,
                    uint64_t now) {
  Peer* const peer = sessions_.find(id);
  if (peer == nullptr) return;
  peer->heard_ms = now;
  const auto message = static_cast<MessageType>(type);
  if (!is_known(type)) {
    if ((flags & kFrameMayIgnore) == 0) refuse(id, seq, WireError::bad_type, "unknown type");
    return;
  }
  if (peer->stage != Peer::Stage::ready) return greet(*peer, message, seq, payload, now);
  const bool miner = peer->role == Role::miner;
  if (message == MessageType::pong || message == MessageType::error) return;
  if (message == MessageType::bye) return out_.hangups.push_back({id, "said goodbye"});
  const auto from_anyone = [&](const Ping& ping) { out_.send(id, Pong{ping.echo}); };
  const auto from_miner = [&]<class M>(M & m) requires requires {
    on_miner(*peer, seq, m, now);
  }
  { on_miner(*peer, seq, m, now); };
  const auto from_auditor = [&](const VerdictMessage& m) { on_auditor(*peer, seq, m, now); };
  auto taken = deliver(message, payload, from_anyone);
  if (taken && !taken.value())
    taken = miner ? deliver(message, payload, from_miner) : deliver(message, payload, from_auditor);
  if (!taken) return refuse(id, seq, WireError::malformed, taken.error().detail);
  if (taken.value()) return;
  refuse(id, seq, WireError::bad_type,
         std::string(to_string(message)) + " is not for this side or role");
}

void Pool::greet(Peer& peer, MessageType type, uint32_t seq, ByteView payload, uint64_t now) {
  const bool hello = peer.stage == Peer::Stage::hello && type == MessageType::hello;
  const bool auth = peer.stage == Peer::Stage::auth && type == MessageType::auth;
  if (!hello && !auth) return refuse(peer.id, seq, WireError::bad_type, "greeting out of order");
  const auto wrong = hello ? sessions_.hello(peer, payload) : sessions_.auth(peer, payload);
  if (wrong) {
    refuse(peer.id, seq, wrong->code, wrong->text);
    if (!closes(wrong->code)) out_.hangups.push_back({peer.id, wrong->text});
    return;
  }
  if (hello) return out_.send(peer.id, sessions_.hello_ok(peer, now));
  welcome(peer, seq, now);
}

void Pool::welcome(Peer& peer, uint32_t seq, uint64_t now) {
  if (peer.role == Role::miner) {
    const auto member = ledger().members().find(peer.key);
    const bool known = member != ledger().members().end();
    if (known && member->second.banned) {
      peer.stage = Peer::Stage::hello;
      return refuse(peer.id, seq, WireError::banned, "this key was found cheating");
    }
    if (!known || member->second.account != peer.account) {
      const auto logged =
          book_.append(RecordKind::member, verifier::member_body(peer.key, peer.account), now);
      if (!logged) {
        peer.stage = Peer::Stage::hello;
        return refuse(peer.id, seq, WireError::bad_account, logged.error().detail);
      }
    }
  }
  AuthOk reply;
  reply.session = next_session_++;
  for (const auto& [id, job] : ledger().jobs()) {
    if (!rooms_.contains(id) || reply.jobs.size() >= kJobsMax) continue;
    reply.jobs.push_back({job.work.bytes(), job.round, job.theta_roots.back(), job.finished});
  }
  std::vector<ShareKey> challenged;
  for (const auto& [id, state] : ledger().leases()) {
    if (state.closed || state.voided || state.lease.miner_key != peer.key) continue;
    if (peer.role != Role::miner || reply.leases.size() >= kOpenLeasesMax) continue;
    reply.leases.push_back({encode(state.lease), static_cast<uint32_t>(state.shares.size()),
                            state.delta_root.has_value()});
    for (const ShareKey& key : audits_.of_lease(id))
      challenged.push_back(key);
  }
  out_.send(peer.id, reply);
  out_.note(peer.role == Role::miner ? "miner_joined" : "auditor_joined",
            {{"key", short_hex(peer.key)}, {"account", peer.account}, {"agent", peer.agent}});
  for (const ShareKey& key : challenged) {
    Audit* const audit = audits_.find(key);
    if (audit == nullptr || audit->stage != Audit::Stage::waiting_answer) continue;
    // Nobody could have answered meanwhile: the time runs from now, but not for ever.
    const verifier::Lease& terms = lease(key.lease_id)->lease;
    audit->due_ms =
        std::max(audit->due_ms, std::min(now, terms.deadline_ms) +
                                    ledger().jobs().at(terms.job_id).work.job().audit.answer_ms);
    send_challenge(key, *audit, now);
  }
}

void Pool::on_tick(uint64_t now) {
  for (Hangup& hangup : sessions_.overdue(now))
    out_.hangups.push_back(std::move(hangup));
  check_deadlines(now);
  expire(now);
  retry_merges(now);
}

void Pool::on_task_done(const TaskDone& done, uint64_t now) {
  if (const auto* audit = std::get_if<AuditDone>(&done)) return on_audit_done(*audit, now);
  if (const auto* merge = std::get_if<MergeDone>(&done)) return on_merge_done(*merge, now);
  const auto& result = std::get<EvaluateDone>(done);
  JobRoom* const found = room(result.job_id);
  if (found == nullptr) return;
  if (result.round == found->work->job().spec.rounds) found->evaluated = true;
  if (result.records == 0)
    return out_.note("evaluation_failed",
                     {{"job", found->work->job().name}, {"round", std::to_string(result.round)}},
                     Level::warning);
  found->results[result.round] = result;
  const double percent =
      100.0 * static_cast<double>(result.correct) / static_cast<double>(result.records);
  out_.note("accuracy", {{"job", found->work->job().name},
                         {"round", std::to_string(result.round)},
                         {"percent", std::to_string(percent)},
                         {"loss", std::to_string(result.loss)}});
}

double Pool::macs_per_second(uint64_t now) {
  while (!speed_.empty() && speed_.front().first + kRateWindowMs < now)
    speed_.pop_front();
  double sum = 0;
  for (const auto& [time, macs] : speed_)
    sum += static_cast<double>(macs);
  return sum * 1000.0 / static_cast<double>(kRateWindowMs);
}

bool Pool::all_finished() const {
  return !rooms_.empty() && std::ranges::all_of(rooms_, [&](const auto& entry) {
    const verifier::JobState& job = ledger().jobs().at(entry.first);
    return job.finished && entry.second.evaluated;
  });
}

}  // namespace gemmine::pool
