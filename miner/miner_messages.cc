// What the pool says, after it was decoded; every value in it is a stranger's.
#include "miner/miner.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/coin.h"

namespace gemmine::miner {

void Miner::on_message(pool::MessageType type, ByteView payload) {
  switch (type) {
    case pool::MessageType::round:
      return on_round(payload);
    case pool::MessageType::lease:
      return on_lease(payload);
    case pool::MessageType::no_lease:
      return on_no_lease(payload);
    case pool::MessageType::blob:
      return on_blob(payload);
    case pool::MessageType::share_ok:
      return on_share_ok(payload);
    case pool::MessageType::challenge:
      return on_challenge(payload);
    case pool::MessageType::verdict:
      return on_verdict(payload);
    case pool::MessageType::delta_ok:
      return on_delta_ok(payload);
    case pool::MessageType::lease_closed:
      return on_lease_closed(payload);
    default:
      events_.event(Level::debug, "message_ignored",
                    {{"type", std::to_string(static_cast<int>(type))}});
  }
}

void Miner::broken_message(const char* what, const Error& error) {
  events_.event(Level::error, "pool_message_malformed",
                {{"message", what}, {"reason", error.detail}});
}

void Miner::on_blob(ByteView payload) {
  if (const Status taken = fetcher_->on_blob(payload); !taken)
    broken_message("BLOB", taken.error());
}

void Miner::on_error(const pool::ErrorMessage& error) {
  fetcher_->on_error(error);
  events_.event(Level::warning, "pool_error",
                {{"code", std::to_string(static_cast<int>(error.code))},
                 {"name", std::string(pool::to_string(error.code))},
                 {"text", error.text}});
  if (asked_ && (error.code == pool::WireError::too_many || error.code == pool::WireError::busy ||
                 error.code == pool::WireError::unknown_job)) {
    asked_ = false;
    retry_->start(std::clamp<uint64_t>(error.retry_after_ms, 200, 60'000));
  }
}

void Miner::on_round(ByteView payload) {
  const auto round = pool::decode_round(payload);
  if (!round) return broken_message("ROUND", round.error());
  const auto job = jobs_.find(round.value().job_id);
  if (job == jobs_.end()) return;
  job->second.round = round.value().round;
  job->second.finished = round.value().finished;
  events_.event(Level::info, "round",
                {{"job", job->second.job.name},
                 {"round", std::to_string(round.value().round)},
                 {"theta", short_hex(round.value().theta_root)},
                 {"finished", round.value().finished ? "yes" : "no"}});
  want_lease();
  check_finished();
}

void Miner::on_lease(ByteView payload) {
  asked_ = false;
  const auto message = pool::decode_lease_message(payload);
  if (!message) return broken_message("LEASE", message.error());
  const auto decoded = verifier::decode_lease(message.value().lease);
  if (!decoded) return broken_message("LEASE", decoded.error());
  const verifier::Lease& lease = decoded.value();
  const Digest id = verifier::lease_id(lease);
  if (leases_.contains(id)) return;
  if (const char* wrong = objection(lease)) {
    events_.event(Level::error, "lease_refused", {{"lease", short_hex(id)}, {"reason", wrong}});
    return;
  }
  LeaseWork* const work = hold(lease);
  if (work == nullptr) return;
  events_.event(Level::info, "lease",
                {{"lease", short_hex(id)},
                 {"job", work->job->job.name},
                 {"round", std::to_string(lease.round)},
                 {"slot", std::to_string(lease.slot)},
                 {"steps", std::to_string(lease.steps)},
                 {"steps_per_share", std::to_string(lease.steps_per_share)}});
  begin(*work);
}

void Miner::on_no_lease(ByteView payload) {
  asked_ = false;
  const auto message = pool::decode_no_lease(payload);
  if (!message) return broken_message("NO_LEASE", message.error());
  events_.event(Level::debug, "no_lease", {{"reason", message.value().reason}});
  retry_->start(std::clamp<uint64_t>(message.value().retry_after_ms, 50, 60'000));
}

void Miner::on_share_ok(ByteView payload) {
  const auto ok = pool::decode_share_ok(payload);
  if (!ok) return broken_message("SHARE_OK", ok.error());
  LeaseWork* work = find(ok.value().lease_id);
  if (work == nullptr) return;
  work->accepted = std::max(work->accepted, ok.value().index + 1);
  events_.event(Level::info, "share_accepted",
                {{"lease", short_hex(ok.value().lease_id)},
                 {"index", std::to_string(ok.value().index)},
                 {"ledger_seq", std::to_string(ok.value().ledger_seq)}});
}

void Miner::on_challenge(ByteView payload) {
  const auto message = pool::decode_challenge(payload);
  if (!message) return broken_message("CHALLENGE", message.error());
  const pool::Challenge& challenge = message.value();
  LeaseWork* work = find(challenge.lease_id);
  const bool answerable =
      work != nullptr && work->job->workload && !work->theta.empty() && challenge.index < work->run;
  if (!answerable) {
    events_.event(Level::warning, "challenge_unknown", {{"lease", short_hex(challenge.lease_id)}});
    return;
  }
  work->challenges[challenge.index] = challenge.seed;
  const bool posted = trainer_->post(AnswerChallenge{work->job->workload.get(), work->lease,
                                                     challenge.index, challenge.seed, work->theta});
  events_.event(Level::info, "challenged",
                {{"lease", short_hex(challenge.lease_id)},
                 {"index", std::to_string(challenge.index)},
                 {"queued", posted ? "yes" : "no"}});
}

void Miner::on_verdict(ByteView payload) {
  const auto message = pool::decode_verdict_message(payload);
  const auto verdict =
      message ? verifier::decode_verdict(message.value().verdict) : message.error();
  if (!verdict) return broken_message("VERDICT", verdict.error());
  const verifier::Verdict& said = verdict.value();
  const bool good = said.outcome == verifier::Outcome::valid;
  events_.event(good ? Level::info : Level::error, "verdict",
                {{"lease", short_hex(said.lease_id)},
                 {"index", std::to_string(said.index)},
                 {"kind", std::string(verifier::to_string(said.kind))},
                 {"outcome", std::string(verifier::to_string(said.outcome))},
                 {"signed", verifier::signed_by_auditor(said) ? "yes" : "no"},
                 {"detail", said.detail}});
}

void Miner::on_delta_ok(ByteView payload) {
  const auto ok = pool::decode_delta_ok(payload);
  if (!ok) return broken_message("DELTA_OK", ok.error());
  if (LeaseWork* work = find(ok.value().lease_id)) work->delta_stored = true;
}

void Miner::on_lease_closed(ByteView payload) {
  const auto closed = pool::decode_lease_closed(payload);
  if (!closed) return broken_message("LEASE_CLOSED", closed.error());
  const Digest& id = closed.value().lease_id;
  if (const LeaseWork* work = find(id)) check_fairness(*work, closed.value().secret);
  const auto reason = static_cast<verifier::CloseReason>(closed.value().reason);
  events_.event(reason == verifier::CloseReason::complete ? Level::info : Level::warning,
                "lease_closed",
                {{"lease", short_hex(id)}, {"reason", std::string(verifier::to_string(reason))}});
  leases_.erase(id);
  checkpoint_.forget(id);
  want_lease();
}

// PROTOCOL 7.7: the pool has to have drawn every challenge before it saw the share.
void Miner::check_fairness(const LeaseWork& work, const Digest& secret) {
  bool fair = verifier::coin_commit(secret) == work.lease.coin_commit;
  for (const auto& [index, seed] : work.challenges) {
    const auto share = checkpoint_.load_share(verifier::lease_id(work.lease), index);
    fair = fair && share &&
           verifier::challenge_seed(secret, verifier::share_id(share.value())) == seed;
  }
  if (fair) return;
  events_.event(Level::error, "pool_unfair",
                {{"lease", short_hex(verifier::lease_id(work.lease))},
                 {"reason",
                  "the revealed secret does not explain the pool's challenges; keep the "
                  "log and consider another pool"}});
}

}  // namespace gemmine::miner
