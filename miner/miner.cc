#include "miner/miner.h"

#include <algorithm>

#include "kernels/base/files.h"
#include "miner/cache.h"
#include "miner/leases.h"
#include "miner/messages.h"
#include "miner/reports.h"

namespace gemmine::miner {

namespace {

constexpr size_t kReportsMax = 256;
constexpr uint64_t kTickMs = 100;  // how finely pauses are kept

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
  std::unique_ptr<Miner> miner(new Miner(loop, std::move(state), events));
  Miner& self = *miner;
  self.session_ = std::make_unique<pool::Session>(loop, identity, std::move(session), self);
  self.fetcher_ = std::make_unique<pool::Fetcher>(
      *self.session_, blobs, [&self](const Digest& address, pool::Fetcher::Progress progress) {
        self.events_.progress("download " + short_hex(address), progress.done, progress.total);
      });
  self.tick_ = std::make_unique<pool::Timer>(loop, [&self] { self.go_on(); });
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
  return miner;
}

Miner::Miner(pool::Loop& loop, State state, pool::Events& events)
    : loop_(loop), state_(std::move(state)), events_(events) {}

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
  const auto bytes = state_.checkpoint.load_delta(delta.lease_id);
  if (!bytes) return;
  const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                              kernels::ChunkSource::of_bytes(bytes.value()));
  const ByteView all = bytes.value();
  constexpr uint64_t kPart = pool::kGroupBytes * pool::kGroupsPerPart;
  for (uint64_t at = 0; at < all.size(); at += kPart) {
    const ByteView piece = all.subspan(at, std::min<uint64_t>(kPart, all.size() - at));
    const kernels::ChunkRange range{at / 1024, (at + piece.size() + 1023) / 1024};
    pool::DeltaPart message{.lease_id = delta.lease_id, .part = {}};
    pool::Part& part = message.part;
    part.total_bytes = all.size();
    part.first_group = at / pool::kGroupBytes;
    part.groups = static_cast<uint32_t>((piece.size() + pool::kGroupBytes - 1) / pool::kGroupBytes);
    auto siblings = tree.open(std::span(&range, 1));
    GEMMINE_CHECK(siblings.ok());  // whole groups of our own bytes
    part.siblings = std::move(siblings.value());
    part.bytes.assign(piece.begin(), piece.end());
    session_->send(message);
  }
}

void Miner::carry_out(SendOpenings& openings) {
  for (size_t block = 0; block < openings.openings.size(); ++block)
    session_->send(pool::OpeningMessage{openings.lease_id, openings.index,
                                        static_cast<uint32_t>(block),
                                        std::move(openings.openings[block])});
  on_answer_sent(state_, openings.lease_id, openings.index);
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

void Miner::carry_out(Leave& /*leave*/) {
  tick_->stop();
  session_->stop(state_.ending.reason);
  loop_.stop();
}

void Miner::on_ready(const pool::AuthOk& said) {
  state_.note(Level::info, "connected",
              {{"pool", session_->endpoint().text()},
               {"jobs", std::to_string(said.jobs.size())},
               {"open_leases", std::to_string(said.leases.size())}});
  if (!state_.options.dry_run) fetcher_->on_ready();  // before anything new is asked for
  gemmine::miner::on_ready(state_, session_->pool_key(), said, loop_.now_ms());
  go_on();
}

void Miner::on_message(pool::MessageType type, ByteView payload) {
  if (type == pool::MessageType::blob) {
    const auto taken = pool::deliver(
        type, payload, [this](const pool::BlobPart& blob) { fetcher_->on_blob(blob); });
    if (!taken) broken_message(state_, "BLOB", taken.error());
  } else {
    gemmine::miner::on_message(state_, type, payload, loop_.now_ms());
  }
  go_on();
}

void Miner::on_error(const pool::ErrorMessage& error) {
  fetcher_->on_error(error);
  gemmine::miner::on_error(state_, error, loop_.now_ms());
  go_on();
}

void Miner::on_down(const std::string& reason, uint64_t retry_ms) {
  gemmine::miner::on_down(state_);
  state_.note(Level::warning, "disconnected",
              {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
  go_on();
}

void Miner::on_end(pool::SessionEnd end, const std::string& reason) {
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
  }
  go_on();
}

}  // namespace gemmine::miner
