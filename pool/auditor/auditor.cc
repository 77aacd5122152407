#include "pool/auditor/auditor.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/random.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"
#include "verifier/records/coin.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

namespace {

constexpr size_t kReplaysMax = 4096;

std::string short_hex(const Digest& digest) {
  return to_hex(digest.bytes).substr(0, 12);
}

std::vector<float> to_floats(ByteView bytes) {
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

}  // namespace

Auditor::Auditor(pool::Loop& loop, const Identity& identity, pool::SessionOptions session,
                 AuditorOptions options, AuditorEvents& events)
    : loop_(loop),
      identity_(identity),
      options_(std::move(options)),
      events_(events),
      coin_(random_digest()) {
  session_ = std::make_unique<pool::Session>(loop, identity, std::move(session), *this);
  fetcher_ = std::make_unique<pool::Fetcher>(*session_, options_.data + "/blobs",
                                             [](const Digest&, pool::Fetcher::Progress) {});
  mailbox_ = std::make_unique<pool::Mailbox<ReplayDone>>(
      loop, kReplaysMax, [this](ReplayDone done) { on_replayed(std::move(done)); });
  thread_ = std::thread([this] { work(); });
}

Auditor::~Auditor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Auditor::start() {
  session_->start();
}

void Auditor::stop(const std::string& reason) {
  session_->stop(reason);
  loop_.stop();
}

void Auditor::on_ready(const pool::AuthOk& /*state*/) {
  events_.line("connected to " + session_->endpoint().text() + ", ledger from record " +
               std::to_string(ledger_.next_seq()));
  session_->send(pool::Watch{ledger_.next_seq()});
  fetcher_->on_ready();
}

void Auditor::on_message(pool::MessageType type, ByteView payload) {
  const auto taken = pool::deliver(
      type, payload, [this]<class M>(M & m) requires requires { on(m); } { on(m); });
  if (!taken) broken("the pool sent a message that does not decode: " + taken.error().detail);
}

void Auditor::on(const pool::BlobPart& blob) {
  fetcher_->on_blob(blob);
}

void Auditor::on_error(const pool::ErrorMessage& error) {
  events_.line("pool: " + std::string(pool::to_string(error.code)) + ": " + error.text);
  fetcher_->on_error(error);
}

void Auditor::on_down(const std::string& reason, uint64_t retry_ms) {
  events_.line("disconnected: " + reason + "; again in " + std::to_string(retry_ms) + " ms");
}

void Auditor::on_end(pool::SessionEnd /*end*/, const std::string& reason) {
  exit_code_ = 12;
  report_.broken = reason;
  loop_.stop();
}

void Auditor::broken(const std::string& what) {
  if (report_.broken.empty()) report_.broken = what;
  exit_code_ = 10;
  events_.line("NOT TRUE: " + what);
}

void Auditor::on(const pool::RecordMessage& message) {
  Record record;
  record.seq = message.seq;
  record.time_ms = message.time_ms;
  record.kind = static_cast<RecordKind>(message.kind);
  record.body = message.body;
  if (record.seq < ledger_.next_seq()) return;  // sent again after a reconnect
  if (auto applied = ledger_.apply(record); !applied) {
    broken("ledger record " + std::to_string(record.seq) + ": " + applied.error().detail);
    return stop(report_.broken);
  }
  pool_time_ms_ = record.time_ms;
  report_.records = ledger_.next_seq();
  report_.head = ledger_.head();
  look_at(record);
  check_done();
}

void Auditor::look_at(const Record& record) {
  switch (record.kind) {
    case RecordKind::lease:
      return watch_lease(record);
    case RecordKind::share: {
      ++report_.shares_seen;
      const auto share = decode_share(Reader(record.body).get_blob(kShareBytes));
      if (share) advance(share.value().lease_id);
      return;
    }
    case RecordKind::close: {
      // The fold has checked that the secret fits the commitment and explains the audits.
      ++report_.coins_checked;
      Reader reader(record.body);
      const auto found = watched_.find(reader.get_digest());
      if (found != watched_.end() && !found->second.busy) watched_.erase(found);
      return;
    }
    case RecordKind::merge:
      return check_merge(record);
    default:
      return;
  }
}

void Auditor::watch_lease(const Record& record) {
  // The fold has accepted it, so it decodes.
  const Lease lease = decode_lease(Reader(record.body).get_blob(kLeaseBytes)).value();
  const Digest id = lease.id;
  const Work& work = ledger_.jobs().at(lease.job_id).work;
  const auto drawn = static_cast<double>(pick(challenge_seed(coin_, id), 0, 1'000'000));
  if (drawn >= options_.rate * 1e6) return;
  watched_[id].lease = lease;
  const auto with_data = [this, id, &work, root = lease.theta_root] {
    fetch_floats(root, work.program().published_floats(),
                 [this, id, &work](std::vector<float> theta) {
                   const auto found = watched_.find(id);
                   if (found == watched_.end()) return;
                   theta.resize(work.program().parameters());  // without the outer velocity
                   found->second.state.assign(work.program().state_floats(), 0.0F);
                   std::copy(theta.begin(), theta.end(), found->second.state.begin());
                   found->second.theta = std::move(theta);
                   advance(id);
                 });
  };
  if (records_.contains(work.id())) return with_data();
  const uint64_t bytes = work.program().data_bytes(work.job().spec.records);
  fetcher_->fetch(work.job().train_address, bytes, [this, &work, with_data](Result<Bytes> records) {
    if (!records) return broken("training data: " + records.error().detail);
    records_.try_emplace(work.id(), std::move(records.value()));
    with_data();
  });
}

void Auditor::fetch_floats(const Digest& address, uint64_t floats,
                           std::function<void(std::vector<float>)> then) {
  fetcher_->fetch(address, floats * sizeof(float),
                  [this, then = std::move(then)](Result<Bytes> bytes) {
                    if (!bytes) return broken("weights: " + bytes.error().detail);
                    then(to_floats(bytes.value()));
                  });
}

// Hands the next logged share of a watched lease to the worker.
void Auditor::advance(const Digest& lease_id) {
  const auto found = watched_.find(lease_id);
  if (found == watched_.end()) return;
  Watched& watched = found->second;
  const LeaseState& logged = ledger_.leases().at(lease_id);
  if (watched.busy || watched.done || watched.theta.empty() || watched.next >= logged.shares.size())
    return;
  watched.busy = true;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({&ledger_.jobs().at(watched.lease.job_id).work,
                      &records_.at(watched.lease.job_id), watched.lease, watched.next,
                      watched.theta, watched.state, logged.shares[watched.next].share});
  }
  wake_.notify_one();
}

void Auditor::work() {
  const Work* loaded = nullptr;
  std::unique_ptr<kernels::Engine> engine;
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    const ReplayTask task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    ReplayDone done{task.lease.id, task.index, {}, {}};
    if (loaded != task.work) {
      auto made = kernels::make_engine(options_.engine, task.work->program(), *task.train_records,
                                       options_.threads);
      if (made) engine = std::move(made.value());
      loaded = made ? task.work : nullptr;
    }
    if (engine && loaded == task.work) {
      auto run = run_share(*engine, {*task.work, task.lease, task.theta}, task.index, task.state);
      // A share whose honest run diverges cannot be valid, whatever it claims.
      done.finding = run ? compare_share(task.claimed, run.value())
                         : Finding{Outcome::invalid, kNoStep, run.error().detail};
      if (run) done.state_after = std::move(run.value().state_after);
    } else {
      done.finding = {Outcome::undecided, kNoStep, "no engine for this job"};
    }
    while (!mailbox_->post(done))
      std::this_thread::yield();
  }
}

void Auditor::on_replayed(ReplayDone done) {
  const auto found = watched_.find(done.lease_id);
  const bool valid = done.finding.outcome == Outcome::valid;
  valid ? ++report_.shares_valid : ++report_.shares_invalid;
  send_verdict(done.lease_id, done.index, done.finding);
  if (found == watched_.end()) return;
  Watched& watched = found->second;
  watched.busy = false;
  watched.done = !valid;
  watched.next = done.index + 1;
  watched.state = std::move(done.state_after);
  const LeaseState& logged = ledger_.leases().at(done.lease_id);
  if (watched.next < logged.shares.size() && !watched.done) return advance(done.lease_id);
  if (logged.closed) watched_.erase(found);
  check_done();
}

void Auditor::send_verdict(const Digest& lease_id, uint32_t index, const Finding& finding) {
  const LeaseState& logged = ledger_.leases().at(lease_id);
  Verdict verdict;
  verdict.lease_id = lease_id;
  verdict.index = index;
  verdict.share_id = logged.shares[index].id;
  verdict.kind = AuditKind::replay;
  verdict.outcome = finding.outcome;
  verdict.step = finding.step;
  verdict.time_ms = pool_time_ms_;
  verdict.detail = finding.detail.substr(0, 200);
  sign(verdict, identity_);
  session_->send(pool::VerdictMessage{encode(verdict)});
  events_.line("replayed share " + std::to_string(index) + " of lease " + short_hex(lease_id) +
               " (miner " + short_hex(logged.lease.miner_key) +
               "): " + std::string(to_string(finding.outcome)) +
               (finding.detail.empty() ? "" : ": " + finding.detail));
}

// Fetches θ and all deltas of a merged round and redoes the merge (PROTOCOL 8.3).
void Auditor::check_merge(const Record& record) {
  Reader reader(record.body);
  const Digest job_id = reader.get_digest();
  const auto round = reader.get<uint32_t>();
  const Digest claimed = reader.get_digest();
  const auto slots = reader.get<uint32_t>();
  const JobState& job = ledger_.jobs().at(job_id);
  const kernels::Program& program = job.work.program();
  merges_.push_back(std::make_unique<PendingMerge>());
  PendingMerge* parts = merges_.back().get();
  parts->missing = slots + 1;
  const auto arrived = [this, parts, job_id, round, claimed] {
    if (--parts->missing > 0) return;
    finish_merge(job_id, round, *parts, claimed);
    std::erase_if(merges_, [parts](const auto& merge) { return merge.get() == parts; });
    check_done();
  };
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const LeaseState& lease = ledger_.leases().at(reader.get_digest());
    fetcher_->fetch(*lease.delta_root, delta_bytes(program.parameters()),
                    [this, parts, arrived](Result<Bytes> delta) {
                      if (!delta) return broken("delta: " + delta.error().detail);
                      parts->deltas.push_back(std::move(delta.value()));
                      arrived();
                    });
  }
  fetch_floats(job.theta_roots[round], program.published_floats(),
               [parts, arrived](std::vector<float> floats) {
                 parts->published = std::move(floats);
                 arrived();
               });
}

void Auditor::finish_merge(const Digest& job_id, uint32_t round, const PendingMerge& parts,
                           const Digest& claimed) {
  const JobState& job = ledger_.jobs().at(job_id);
  Merge merge(job.work.program());
  for (const Bytes& delta : parts.deltas)
    if (auto added = merge.add(delta); !added) return broken(added.error().detail);
  const auto merged = merge.finish(parts.published, job.work.job().spec.slots);
  if (!merged) return broken(merged.error().detail);
  const Digest own = kernels::blake3(as_bytes(std::span<const float>(merged.value())));
  if (own != claimed)
    return broken("merge of round " + std::to_string(round) + " gives " + short_hex(own) +
                  ", the pool says " + short_hex(claimed));
  ++report_.merges_redone;
  events_.line("merge of round " + std::to_string(round) + " redone: " + short_hex(own));
}

void Auditor::check_done() {
  if (!options_.exit_when_finished || ledger_.jobs().empty() || !merges_.empty()) return;
  for (const auto& [id, job] : ledger_.jobs())
    if (!job.finished) return;
  for (const auto& [id, watched] : watched_)
    if (watched.busy) return;
  stop("every job is finished");
}

}  // namespace gemmine::verifier
