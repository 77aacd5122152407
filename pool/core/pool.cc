#include "pool/core/pool.h"

#include "pool/core/answers.h"
#include "pool/core/audits.h"
#include "pool/core/descents.h"
#include "pool/core/garbage.h"
#include "pool/core/granting.h"
#include "pool/core/jobs.h"
#include "pool/core/leases.h"
#include "pool/core/news.h"
#include "pool/core/proofs.h"
#include "pool/core/repairs.h"
#include "pool/core/resume.h"
#include "pool/core/rounds.h"
#include "pool/core/settlement.h"
#include "pool/core/transfers.h"
#include "pool/core/verdicts.h"

namespace gemmine::pool {

namespace {

// What both roles may say.
struct FromAnyone {
  PoolState& pool;
  const Peer& peer;
  const uint32_t seq;
  const uint64_t now;

  void operator()(const Ping& m) const { pool.out.send(peer.id, Pong{m.echo}); }
  void operator()(AccuseMessage& m) const { on_accuse(pool, peer, m, seq, now); }
};

// What a ready miner may say.
struct FromMiner {
  PoolState& pool;
  const Peer& peer;
  const uint32_t seq;
  const uint64_t now;

  void operator()(const GetLease& m) const { on_get_lease(pool, peer, m, seq, now); }
  void operator()(const Abandon& m) const { on_abandon(pool, peer, m, seq, now); }
  void operator()(const ShareMessage& m) const { on_share(pool, peer, m, seq, now); }
  void operator()(const AnswerMessage& m) const { on_answer(pool, peer, m, seq, now); }
  void operator()(Upload& m) const { on_upload(pool, peer, m, seq); }
  void operator()(const Settle& m) const { on_settle(pool, peer, m, seq); }
};

}  // namespace

Status Pool::add_job(const verifier::Work& work, const Digest& theta_root,
                     std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now) {
  return pool::add_job(state_, work, theta_root, std::move(start_roots), fund, now);
}

void Pool::recall(const EvaluateDone& result) {
  pool::recall(state_, result);
}

void Pool::resume(uint64_t now) {
  pool::resume(state_, now);
  settle(now);
}

bool Pool::all_finished() const {
  return pool::all_finished(state_);
}

// What one part of the pool left to another. Each step logs something or empties its list, so that
// this ends.
void Pool::settle(uint64_t now) {
  Due& due = state_.due;
  const auto next = [](auto& all) { return all.extract(all.begin()).value(); };
  while (true) {
    tell_batches(state_);  // before anybody hears what follows from it
    if (!due.wrong.empty()) {
      condemn(state_, next(due.wrong), now);
    } else if (!due.complete.empty()) {
      try_complete(state_, next(due.complete), now);
    } else if (!due.batches.empty()) {
      look_at_batch(state_, next(due.batches), now);
    } else if (!due.diverged.empty()) {
      look_at_diverged_job(state_, next(due.diverged), now);
    } else if (!due.merge.empty()) {
      try_merge(state_, next(due.merge), now);
    } else if (!due.finish.empty()) {
      try_finish(state_, next(due.finish), now);
    } else {
      break;
    }
  }
  run_audits(state_);
}

void Pool::on_open(ConnId id, const Opening& opening, uint64_t now) {
  state_.sessions.open(id, opening, now);
}

void Pool::on_close(ConnId id) {
  state_.sessions.close(id);
}

void Pool::on_frame(ConnId id, uint8_t type, uint8_t flags, uint32_t seq, ByteView payload,
                    uint64_t now) {
  Peer* const peer = state_.sessions.find(id);
  if (peer == nullptr) return;
  peer->heard_ms = now;
  const auto message = static_cast<MessageType>(type);
  if (!is_known(type)) {
    if ((flags & kFrameMayIgnore) == 0) state_.refuse(id, seq, WireError::bad_type, "unknown type");
    return;
  }
  if (peer->stage != Peer::Stage::ready) return greet(*peer, message, seq, payload, now);
  if (message == MessageType::pong || message == MessageType::error) return;
  if (message == MessageType::bye) return state_.out.hangups.push_back({id, "said goodbye"});
  const FromAnyone from_anyone{state_, *peer, seq, now};
  const auto from_auditor = [&](const VerdictMessage& m) {
    on_auditor_verdict(state_, *peer, seq, m, now);
  };
  auto taken = deliver(message, payload, from_anyone);
  if (taken && !taken.value())
    taken = peer->role == Role::miner
                ? deliver(message, payload, FromMiner{state_, *peer, seq, now})
                : deliver(message, payload, from_auditor);
  if (!taken) return state_.refuse(id, seq, WireError::malformed, taken.error().detail);
  if (!taken.value())
    return state_.refuse(id, seq, WireError::bad_type,
                         std::string(to_string(message)) + " is not for this side or role");
  settle(now);
}

void Pool::greet(Peer& peer, MessageType type, uint32_t seq, ByteView payload, uint64_t now) {
  const bool hello = peer.stage == Peer::Stage::hello && type == MessageType::hello;
  const bool auth = peer.stage == Peer::Stage::auth && type == MessageType::auth;
  if (!hello && !auth)
    return state_.refuse(peer.id, seq, WireError::bad_type, "greeting out of order");
  Sessions& sessions = state_.sessions;
  const auto wrong = hello ? sessions.hello(peer, payload) : sessions.auth(peer, payload);
  if (wrong) {
    state_.refuse(peer.id, seq, wrong->code, wrong->text);
    if (!closes(wrong->code)) state_.out.hangups.push_back({peer.id, wrong->text});
    return;
  }
  if (hello) return state_.out.send(peer.id, sessions.hello_ok(peer, now));
  welcome(peer, seq);
}

void Pool::welcome(Peer& peer, uint32_t seq) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::ready);
  const bool miner = peer.role == Role::miner;
  const auto member = state_.ledger().members().find(peer.key);
  if (miner && member != state_.ledger().members().end() && member->second.banned) {
    state_.sessions.begin_again(peer);
    return state_.refuse(peer.id, seq, WireError::banned, "this key was found cheating");
  }
  AuthOk reply;
  reply.session = state_.next_session++;
  for (const Digest& id : state_.queue) {
    const verifier::JobState& job = state_.ledger().jobs().at(id);
    if (reply.jobs.size() >= kJobsMax) break;
    reply.jobs.push_back({job.work.bytes(), job.round, job.theta_roots.back(), job.finished});
  }
  std::vector<Digest> open;
  const auto held = state_.open_leases.find(peer.key);
  if (miner && held != state_.open_leases.end())
    open.assign(held->second.begin(), held->second.end());
  for (const Digest& id : open) {
    const verifier::LeaseState& lease = state_.known_lease(id);
    if (reply.leases.size() >= kOpenLeasesMax) continue;
    reply.leases.push_back({encode(lease.lease), static_cast<uint32_t>(lease.shares.size()),
                            lease.delta_root.has_value()});
  }
  if (miner) {
    for (const verifier::BatchId& id : unsettled_batches(state_, peer.key)) {
      if (reply.batches.size() < kOpenBatchesMax)
        reply.batches.push_back(state_.ledger().batch(id)->commit);
    }
  }
  state_.out.send(peer.id, reply);
  state_.out.note(
      miner ? "miner_joined" : "auditor_joined",
      {{"key", short_hex(peer.key)}, {"account", peer.member.account}, {"agent", peer.agent}});
  for (const Digest& id : open)
    say_have(state_, peer.id, id);
  if (miner) ask_again(state_, peer.id, peer.key);
}

void Pool::on_tick(uint64_t now) {
  for (Hangup& hangup : state_.sessions.overdue(now))
    state_.out.hangups.push_back(std::move(hangup));
  state_.audits.wake(now);
  expire(state_, now);
  look_at_challenges(state_, now);
  look_at_descents(state_, now);
  look_at_batches(state_, now);
  retry_merges(state_, now);
  settle(now);
}

void Pool::on_task_done(const TaskDone& done, uint64_t now) {
  if (const auto* audit = std::get_if<AuditDone>(&done)) {
    on_audit_done(state_, *audit, now);
  } else if (const auto* thread = std::get_if<ThreadDone>(&done)) {
    on_thread_done(state_, *thread, now);
  } else if (const auto* descent = std::get_if<DescentDone>(&done)) {
    on_descent_done(state_, *descent, now);
  } else if (const auto* diverged = std::get_if<DivergenceDone>(&done)) {
    on_divergence_done(state_, *diverged, now);
  } else if (const auto* proof = std::get_if<ProofDone>(&done)) {
    on_proof_done(state_, *proof, now);
  } else if (const auto* merge = std::get_if<MergeDone>(&done)) {
    on_merge_done(state_, *merge, now);
  } else {
    on_evaluate_done(state_, std::get<EvaluateDone>(done));
  }
  settle(now);
}

void Pool::on_disk_done(const DiskDone& done, uint64_t now) {
  if (const auto* part = std::get_if<PartStored>(&done)) {
    on_part_stored(state_, *part);
  } else if (const auto* delta = std::get_if<DeltaFinished>(&done)) {
    on_delta_finished(state_, *delta, now);
  } else if (const auto& dropped = std::get<Dropped>(done); !dropped.failed.empty()) {
    state_.out.note("blobs_not_dropped", {{"reason", dropped.failed}}, Level::warning);
  }
  settle(now);
}

void Pool::take_up_uploads(const std::map<Digest, uint64_t>& half_deltas) {
  pool::take_up_uploads(state_, half_deltas);
}

std::set<Digest> Pool::needed_blobs() const {
  return pool::needed_blobs(state_);
}

double Pool::macs_per_second(uint64_t now) {
  auto& speed = state_.speed;
  while (!speed.empty() && speed.front().first + kRateWindowMs < now)
    speed.pop_front();
  double sum = 0;
  for (const auto& [time, macs] : speed)
    sum += static_cast<double>(macs);
  return sum * 1000.0 / static_cast<double>(kRateWindowMs);
}

}  // namespace gemmine::pool
