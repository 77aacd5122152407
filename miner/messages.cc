#include "miner/messages.h"

#include <algorithm>
#include <utility>

#include "miner/answers.h"
#include "miner/batches.h"
#include "miner/leases.h"
#include "miner/words.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/coin.h"

namespace gemmine::miner {

namespace {

constexpr uint64_t kAskMinMs = 50;
constexpr uint64_t kAskMaxMs = 60'000;

void list_jobs(State& state, const pool::AuthOk& said) {
  for (const auto& job : said.jobs) {
    const auto work = verifier::Work::decode(job.job);
    state.note(Level::info, "job",
               {{"id", short_hex(verifier::job_id(job.job))},
                {"name", work ? work.value().job().name : work.error().detail},
                {"round", std::to_string(job.round)},
                {"price_per_tmac", work ? std::to_string(work.value().job().price_per_tmac) : "?"},
                {"finished", job.finished ? "yes" : "no"}});
  }
  state.leave(ExitCode::ok, "dry run: the pool took the account and the key");
}

void add_job(State& state, const pool::AuthOk::Job& said) {
  const Digest id = verifier::job_id(said.job);
  const auto [at, fresh] = state.jobs.try_emplace(id);
  JobWork& work = at->second;
  work.id = id;
  work.round = said.round;
  work.finished = said.finished;
  work.theta_root = said.theta_root;
  work.offered = true;
  if (work.no_data) work.refused = work.no_data = false;
  if (!fresh) return;
  auto decoded = verifier::Work::decode(said.job);
  if (decoded && decoded.value().program().parameters() <= state.options.parameters_max) {
    work.work = std::move(decoded.value());
    return;
  }
  work.refused = true;
  state.note(Level::warning, "job_refused",
             {{"job", short_hex(id)},
              {"reason", decoded ? "too large for this miner" : decoded.error().detail}});
}

void on(State& state, const pool::Round& round, uint64_t /*now_ms*/) {
  const auto job = state.jobs.find(round.job_id);
  if (job == state.jobs.end() || !job->second.work) return;
  job->second.round = round.round;
  job->second.finished = round.finished;
  const Digest before = std::exchange(job->second.theta_root, round.theta_root);
  state.ask_at_ms = 0;  // slots are free
  state.note(Level::info, "round",
             {{"job", job->second.work->job().name},
              {"round", std::to_string(round.round)},
              {"theta", short_hex(round.theta_root)},
              {"finished", round.finished ? "yes" : "no"}});
  if (round.finished) forget_job(state, round.job_id);
  state.out.emplace_back(Prune{{before}});
}

void on(State& state, const pool::LeaseMessage& message, uint64_t now_ms) {
  const auto decoded = verifier::decode_lease(message.lease);
  if (!decoded) return broken_message(state, "LEASE", decoded.error());
  const verifier::Lease& lease = decoded.value();
  if (state.find(lease.id) != nullptr) return;
  const LeaseWork* const work = take(state, lease, now_ms);
  if (work == nullptr) return;
  state.waiting_for.clear();
  state.none_here = false;
  state.note(Level::info, "lease",
             {{"lease", short_hex(work->id)},
              {"job", work->job->work->job().name},
              {"round", std::to_string(lease.round)},
              {"slot", std::to_string(lease.slot)},
              {"steps", std::to_string(lease.steps)},
              {"steps_per_share", std::to_string(lease.steps_per_share)}});
  if (state.stop_by_ms) give_back(state.leases.at(lease.id), state.ending.reason);
}

// Told when the reason is another one: a miner that waits asks again and again.
void wait_for(State& state, const std::string& reason, uint64_t retry_ms) {
  const bool told = std::exchange(state.waiting_for, reason) == reason;
  state.note(told ? Level::debug : Level::info, "waiting",
             {{"reason", reason}, {"ask_again_s", std::to_string((retry_ms + 999) / 1000)}});
}

void on(State& state, const pool::NoLease& none, uint64_t now_ms) {
  const uint64_t retry_ms = std::clamp<uint64_t>(none.retry_after_ms, kAskMinMs, kAskMaxMs);
  state.ask_at_ms = now_ms + retry_ms;
  wait_for(state, none.reason, none.retry_after_ms);
  state.none_here = true;
}

void on(State& state, const pool::ShareOk& ok, uint64_t /*now_ms*/) {
  LeaseWork* const work = state.find(ok.lease_id);
  if (work == nullptr || ok.index >= work->run) return;
  const auto share = state.checkpoint.load_share(ok.lease_id, ok.index);
  if (share && !vouched(state, "a share", ok.lease_id, ok.receipt, verifier::RecordKind::share,
                        verifier::signed_body(encode(share.value()))))
    return;
  work->accepted = std::max(work->accepted, ok.index + 1);
  const uint32_t index = ok.index;
  while (work->states_from < index)
    state.checkpoint.drop_state(work->id, work->states_from++);
  state.note(Level::info, "share_accepted",
             {{"lease", short_hex(ok.lease_id)},
              {"index", std::to_string(index)},
              {"ledger_seq", std::to_string(ok.receipt.seq)}});
}

void on(State& state, const pool::VerdictMessage& message, uint64_t /*now_ms*/) {
  const auto verdict = verifier::decode_verdict(message.verdict);
  if (!verdict) return broken_message(state, "VERDICT", verdict.error());
  const verifier::Verdict& said = verdict.value();
  // A ticket's verdict comes when its lease is closed and forgotten.
  if (state.receipts.knows(said.lease_id))
    keep_word(state, said.lease_id,
              {verifier::RecordKind::verdict, verifier::signed_body(message.verdict), {}});
  on_judged(state, said);
  const bool wrong = said.outcome == verifier::Outcome::invalid;
  pool::Fields fields = {{"lease", short_hex(said.lease_id)},
                         {"index", std::to_string(said.index)},
                         {"kind", std::string(verifier::to_string(said.kind))},
                         {"outcome", std::string(verifier::to_string(said.outcome))},
                         {"signed", verifier::signed_by_auditor(said) ? "yes" : "no"}};
  if (!said.detail.empty()) fields.emplace_back("detail", said.detail);
  if (wrong)
    fields.emplace_back("hint",
                        "this device may compute wrong numbers: --engine check:ENGINE compares it "
                        "with the reference and stops at the first bit that differs");
  state.note(wrong ? Level::error : Level::info, "verdict", std::move(fields));
}

void on(State& state, const pool::ChallengeMessage& message, uint64_t now_ms) {
  if (vouched(state, "a challenge", message.challenge.lease_id, message.receipt,
              verifier::RecordKind::challenge, encode(message.challenge)))
    on_challenge(state, message, now_ms);
}

void on(State& state, const pool::DeltaOk& ok, uint64_t /*now_ms*/) {
  LeaseWork* const work = state.find(ok.lease_id);
  if (work == nullptr) return;
  const auto last = state.checkpoint.load_share(ok.lease_id, work->lease.shares() - 1);
  if (last && !vouched(state, "a delta", ok.lease_id, ok.receipt, verifier::RecordKind::delta,
                       verifier::encode(verifier::DeltaBody{ok.lease_id, last.value().delta_root})))
    return;
  work->delta_stored = true;
}

// PROTOCOL 7.7: the secret is the one that the lease committed to.
void check_fairness(State& state, const LeaseWork& work, const Digest& secret) {
  if (verifier::coin_commit(secret) == work.lease.coin_commit) return;
  state.note(
      Level::error, "pool_unfair",
      {{"lease", short_hex(work.id)},
       {"reason",
        "the revealed secret is not the one that was committed to; keep the log and consider "
        "another pool"}});
}

void on(State& state, const pool::LeaseClosed& closed, uint64_t /*now_ms*/) {
  const Digest& id = closed.close.lease_id;
  if (!vouched(state, "the end of a lease", id, closed.receipt, verifier::RecordKind::close,
               encode(closed.close)))
    return;
  if (const LeaseWork* const work = state.find(id))
    check_fairness(state, *work, closed.close.secret);
  const verifier::CloseReason reason = closed.close.reason;
  // Given back, its reason was told before.
  const bool calm = reason == verifier::CloseReason::complete || state.given_back.contains(id);
  state.note(calm ? Level::info : Level::warning, "lease_closed",
             {{"lease", short_hex(id)}, {"reason", std::string(verifier::to_string(reason))}});
  state.given_back.erase(id);
  state.ask_at_ms = 0;  // a slot may be free; pauses of our own go on
  // What is not paid for yet may be asked about.
  if (reason == verifier::CloseReason::complete) return retire(state, id);
  close(state, id);
}

void on(State& state, const pool::RecordMessage& said, uint64_t /*now_ms*/) {
  on_batch_record(state, said);
}

}  // namespace

void broken_message(State& state, const std::string& what, const Error& error) {
  state.note(Level::error, "pool_message_malformed", {{"message", what}, {"reason", error.detail}});
}

void on_ready(State& state, const Digest& pool_key, const pool::AuthOk& said, uint64_t now_ms) {
  const bool other_pool = state.pool_key != pool_key;
  state.connected = true;
  state.pool_key = pool_key;
  state.asked = false;
  state.waiting_for.clear();
  state.given_back.clear();
  state.ask_at_ms = 0;
  if (state.options.dry_run) return list_jobs(state, said);
  if (other_pool) {
    state.leases.clear();
    state.answers.clear();  // its pool asks again
  }
  std::vector<Digest> outdated = state.checkpoint.thetas();
  for (auto& [id, job] : state.jobs) {
    job.offered = false;
    outdated.push_back(job.theta_root);
  }
  for (const auto& job : said.jobs)
    add_job(state, job);

  std::vector<Digest> open;
  for (const auto& held : said.leases) {
    const auto lease = verifier::decode_lease(held.lease);
    if (!lease) return broken_message(state, "AUTH_OK", lease.error());
    open.push_back(lease.value().id);
    resume(state, lease.value(), held.shares_accepted, held.delta_stored, now_ms);
  }
  const auto is_open = [&](const Digest& id) {
    return std::find(open.begin(), open.end(), id) != open.end();
  };
  std::erase_if(state.leases, [&](const auto& entry) { return !is_open(entry.first); });
  keep_unsettled(state, open, said.batches);
  state.out.emplace_back(Prune{std::move(outdated)});
}

void on_down(State& state) {
  state.connected = false;
  state.asked = false;
}

void on_message(State& state, pool::MessageType type, ByteView payload, uint64_t now_ms) {
  if (type == pool::MessageType::lease || type == pool::MessageType::no_lease) state.asked = false;
  const std::string name(pool::to_string(type));
  const auto taken = pool::deliver(
      type,
      payload, [&]<class M>(const M& message) requires requires { on(state, message, now_ms); } {
        on(state, message, now_ms);
      });
  if (!taken) return broken_message(state, name, taken.error());
  if (!taken.value()) state.note(Level::debug, "message_ignored", {{"type", name}});
}

void on_error(State& state, const pool::ErrorMessage& error, uint64_t now_ms) {
  using pool::WireError;
  // Part of any normal run: a lease that is not to be had, or a job without one to settle.
  const bool no_job = error.code == WireError::unknown_job;
  if (state.asked && (no_job || error.code == WireError::too_many)) {
    wait_for(state, error.text, error.retry_after_ms);
  } else {
    state.note(no_job ? Level::debug : Level::warning, "pool_error",
               {{"code", std::to_string(static_cast<int>(error.code))},
                {"name", std::string(pool::to_string(error.code))},
                {"text", error.text}});
  }
  const uint64_t retry_ms = std::clamp<uint64_t>(error.retry_after_ms, 200, kAskMaxMs);
  const bool later = error.code == WireError::busy || error.code == WireError::internal;
  if (later) state.resend_at_ms = now_ms + retry_ms;
  if (state.asked &&
      (later || error.code == WireError::too_many || error.code == WireError::unknown_job)) {
    state.asked = false;
    state.ask_at_ms = now_ms + retry_ms;
    if (error.retry_after_ms == 0) state.ask_pause.trouble(now_ms);
  }
}

}  // namespace gemmine::miner
