#include "miner/miner.h"

#include <algorithm>
#include <utility>

#include "kernels/base/files.h"
#include "kernels/hash/opening.h"
#include "miner/answers.h"
#include "miner/cache.h"
#include "miner/leases.h"
#include "miner/messages.h"
#include "miner/reports.h"

namespace gemmine::miner {

namespace {

constexpr size_t kReportsMax = 256;
constexpr uint64_t kTickMs = 100;         // how finely pauses are kept
constexpr uint64_t kRememberMs = 10'000;  // how often the pool's newest head is written down

std::string blobs_path(const std::string& data) {
  return data + "/blobs";
}

}  // namespace

Result<std::unique_ptr<Miner>> Miner::make(pool::Loop& loop, const verifier::Identity& identity,
                                           pool::SessionOptions session, EngineFactory factory,
                                           MinerOptions options, pool::Events& events) {
  const std::string blobs = blobs_path(options.data);
  if (auto made = make_folder(blobs); !made) return made.error();
  auto checkpoint = Checkpoint::open(options.data + "/leases");
  if (!checkpoint) return checkpoint.error();
  const TrainerOptions pace{.check_own = options.check_own, .throttle = options.throttle};
  State state(identity.public_key(), std::move(options), std::move(checkpoint.value()));
  std::unique_ptr<Miner> miner(new Miner(loop, identity, std::move(state), events));
  Miner& self = *miner;
  self.session_ = std::make_unique<pool::Session>(loop, identity, std::move(session), self);
  self.fetcher_ = std::make_unique<pool::Fetcher>(
      loop, *self.session_, blobs,
      [&self](const Digest& address, pool::Fetcher::Progress progress) {
        self.events_.progress("download " + short_hex(address), progress.done, progress.total);
      });
  if (self.state_.options.relay) {
    self.fetcher_->use_relay(
        *self.state_.options.relay,
        [&self](const std::string& reason, uint64_t retry_ms) {
          self.events_.event(Level::warning, "relay_lost",
                             {{"reason", reason},
                              {"retry_ms", std::to_string(retry_ms)},
                              {"until_then", "the pool is asked"}});
        },
        [&self] { self.events_.event(Level::info, "relay_back", {}); });
  }
  self.uploader_ = std::make_unique<pool::Uploader>(
      *self.session_,
      pool::Uploader::Owner{
          .on_sent = [&self](const Digest& /*lease_id*/,
                             uint64_t challenge) { on_answer_sent(self.state_, challenge); },
          .on_refused =
              [&self](const Digest& lease_id, uint64_t challenge, const std::string& reason) {
                self.on_upload_refused(lease_id, challenge, reason);
              }});
  self.tick_ = std::make_unique<pool::Timer>(loop, [&self] {
    self.uploader_->on_tick(self.loop_.now_ms());
    self.remember_pool();
    self.go_on();
  });
  self.mailbox_ =
      std::make_unique<pool::Mailbox<Report>>(loop, kReportsMax, [&self](Report report) {
        gemmine::miner::on_report(self.state_, std::move(report), self.loop_.now_ms());
        self.go_on();
      });
  self.trainer_ = std::make_unique<Trainer>(std::move(factory), identity, self.state_.checkpoint,
                                            pace, [&self](Report report) {
                                              // No more reports than tasks, and those are bounded:
                                              // a full box is our own bug.
                                              static_assert(Trainer::kTasksMax < kReportsMax);
                                              GEMMINE_CHECK(self.mailbox_->post(std::move(report)));
                                            });
  if (Status started = self.trainer_->start(); !started) return started.error();
  return miner;
}

Miner::Miner(pool::Loop& loop, const verifier::Identity& identity, State state,
             pool::Events& events)
    : loop_(loop), identity_(identity), state_(std::move(state)), events_(events) {}

Miner::~Miner() = default;

void Miner::start() {
  tick_->start(kTickMs, kTickMs);
  session_->start();
}

void Miner::stop(const std::string& reason) {
  ask_to_stop(state_, reason, loop_.now_ms());
  trainer_->end_shares();
  go_on();
}

// What is carried out may change the state again: downloads that are here already.
void Miner::go_on() {
  if (carrying_out_) return;
  carrying_out_ = true;
  advance(state_, loop_.now_ms());
  while (!state_.out.empty()) {
    Action action = std::move(state_.out.front());
    state_.out.pop_front();
    std::visit([this](auto& what) { carry_out(what); }, action);
    if (state_.out.empty()) advance(state_, loop_.now_ms());
  }
  carrying_out_ = false;
}

void Miner::carry_out(Send& send) {
  std::visit([this](const auto& message) { session_->send(message); }, send.message);
}

void Miner::carry_out(SendDelta& delta) {
  const LeaseWork* const work = state_.find(delta.lease_id);
  if (work == nullptr) return;
  const auto last = state_.checkpoint.load_share(work->id, work->lease.shares() - 1);
  const Status sent =
      last ? uploader_->send(work->id, pool::kDelta, state_.checkpoint.delta_path(work->id),
                             last.value().delta_root, loop_.now_ms())
           : Status(last.error());
  if (!sent) on_upload_refused(delta.lease_id, pool::kDelta, sent.error().detail);
}

// Said first, so that the pool knows what the parts are of.
void Miner::carry_out(SendAnswer& answer) {
  const auto found = state_.answers.find(answer.challenge);
  if (found == state_.answers.end() || !found->second.said) return;
  const verifier::AnswerBody& said = *found->second.said;
  session_->send(pool::AnswerMessage{said});
  const Status sent = uploader_->send(said.lease_id, said.challenge,
                                      state_.checkpoint.answer_path(said.lease_id, said.challenge),
                                      said.address, loop_.now_ms());
  if (!sent) on_upload_refused(said.lease_id, said.challenge, sent.error().detail);
}

void Miner::carry_out(GiveBack& given) {
  session_->send(pool::Abandon{given.lease_id, given.diverged,
                               identity_.sign(verifier::abandon_message(given.lease_id))});
}

// A delta that cannot be delivered ends its lease.
void Miner::on_upload_refused(const Digest& lease_id, uint64_t challenge,
                              const std::string& reason) {
  state_.note(Level::error, "upload_refused", {{"lease", short_hex(lease_id)}, {"reason", reason}});
  LeaseWork* const work = state_.find(lease_id);
  if (challenge == pool::kDelta && work != nullptr) give_back(*work, reason);
}

void Miner::carry_out(Task& task) {
  GEMMINE_CHECK(trainer_->post(std::move(task)));  // the state counts them
}

void Miner::carry_out(Fetch& fetch) {
  fetcher_->fetch(fetch.address, fetch.bytes, [this, fetch](Result<Bytes> bytes) {
    on_fetched(state_, fetch, std::move(bytes), loop_.now_ms());
    go_on();
  });
}

void Miner::carry_out(pool::Event& event) {
  events_.write(event);
}

void Miner::carry_out(Prune& prune) {
  prune_blobs(blobs_path(state_.options.data), needed_blobs(state_), prune.outdated);
}

void Miner::carry_out(Distrust& distrust) {
  session_->leave_pool(distrust.why, distrust.reason);
}

void Miner::carry_out(Leave& /*leave*/) {
  tick_->stop();
  remember_pool();
  session_->stop(state_.ending.reason);
  loop_.stop();
}

void Miner::on_ready(const pool::AuthOk& said) {
  state_.note(Level::info, "connected",
              {{"pool", session_->endpoint().text()},
               {"jobs", std::to_string(said.jobs.size())},
               {"open_leases", std::to_string(said.leases.size())}});
  if (!state_.options.dry_run) fetcher_->on_ready();  // before anything new is asked for
  if (!meet_pool()) return go_on();
  gemmine::miner::on_ready(state_, session_->pool_key(), said, loop_.now_ms());
  go_on();
}

// Is it the pool that its owner means, and that it was before?
bool Miner::meet_pool() {
  const Status met = state_.heads.meet(session_->pool_key(), session_->endpoint().text());
  if (const std::string distrust = met ? state_.heads.distrust() : ""; !distrust.empty()) {
    session_->leave_pool(pool::SessionEnd::untrue, distrust);
    return false;
  }
  if (met) return true;
  if (met.error().code == Errc::invalid) {
    session_->leave_pool(pool::SessionEnd::bad_identity, met.error().detail);
    return false;
  }
  state_.note(Level::warning, "pool_not_remembered", {{"reason", met.error().detail}});
  return true;
}

void Miner::remember_pool() {
  const uint64_t now = loop_.now_ms();
  if (now < remember_at_ms_ && !state_.ended) return;
  remember_at_ms_ = now + kRememberMs;
  const Status saved = state_.heads.save();
  if (!saved && !std::exchange(forgetful_, true))
    state_.note(Level::warning, "pool_not_remembered", {{"reason", saved.error().detail}});
}

void Miner::on_message(pool::MessageType type, ByteView payload) {
  const uint64_t now = loop_.now_ms();
  struct Transfers {
    Miner& self;
    uint64_t now;
    void operator()(const pool::BlobPart& blob) { self.fetcher_->on_blob(blob); }
    void operator()(const pool::Have& have) { self.uploader_->on_have(have, now); }
  } transfers{*this, now};
  const auto taken = pool::deliver(type, payload, transfers);
  if (!taken) broken_message(state_, std::string(pool::to_string(type)), taken.error());
  if (taken && !taken.value()) {
    gemmine::miner::on_message(state_, type, payload, now);
    forget_uploads();
  }
  go_on();
}

// Of leases that are closed, and deltas that are stored.
void Miner::forget_uploads() {
  uploader_->keep_if([this](const Digest& lease_id, uint64_t challenge) {
    if (challenge != pool::kDelta) return state_.answers.contains(challenge);
    const LeaseWork* const work = state_.find(lease_id);
    return work != nullptr && !work->delta_stored;
  });
}

void Miner::on_drained() {
  uploader_->on_drained(loop_.now_ms());
  go_on();
}

void Miner::on_error(const pool::ErrorMessage& error) {
  fetcher_->on_error(error);
  if (!uploader_->on_error(error, loop_.now_ms()))
    gemmine::miner::on_error(state_, error, loop_.now_ms());
  go_on();
}

void Miner::on_down(const std::string& reason, uint64_t retry_ms) {
  uploader_->on_down();
  gemmine::miner::on_down(state_);
  state_.note(Level::warning, "disconnected",
              {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
  // A pause means that each of the pools was tried.
  if (state_.options.dry_run && retry_ms > 0 && !state_.ended)
    state_.leave(ExitCode::other_pool, "dry run: no pool of these can be worked for: " + reason);
  go_on();
}

void Miner::on_end(pool::SessionEnd end, const std::string& reason) {
  uploader_->on_down();
  gemmine::miner::on_down(state_);
  switch (end) {
    case pool::SessionEnd::refused_account:
      state_.leave(ExitCode::refused, "the pool refuses this account: " + reason);
      break;
    case pool::SessionEnd::refused_version:
      state_.leave(ExitCode::too_old, "the pool speaks another version: " + reason);
      break;
    case pool::SessionEnd::banned:
      state_.leave(ExitCode::refused, "the pool has banned this key: " + reason);
      break;
    case pool::SessionEnd::bad_identity:
      state_.leave(ExitCode::other_pool, reason);
      break;
    case pool::SessionEnd::untrue:
      state_.leave(ExitCode::invalid, reason);
      break;
  }
  go_on();
}

}  // namespace gemmine::miner
