#include "miner/miner.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/files.h"
#include "verifier/merge/delta.h"

namespace gemmine::miner {

namespace {

constexpr size_t kReportsMax = 256;

}  // namespace

Result<std::unique_ptr<Miner>> Miner::make(pool::Loop& loop, const pool::TlsContext& tls,
                                           const verifier::Identity& identity,
                                           pool::SessionOptions session, EngineFactory factory,
                                           MinerOptions options, Events& events) {
  if (auto made = make_folder(options.data + "/blobs"); !made) return made.error();
  auto checkpoint = Checkpoint::open(options.data + "/leases");
  if (!checkpoint) return checkpoint.error();
  std::unique_ptr<Miner> miner(
      new Miner(loop, identity, std::move(options), std::move(checkpoint.value()), events));
  Miner& self = *miner;
  self.session_ = std::make_unique<pool::Session>(loop, tls, identity, std::move(session), self);
  self.fetcher_ = std::make_unique<pool::Fetcher>(
      *self.session_, self.options_.data + "/blobs",
      [&self](const Digest& address, pool::Fetcher::Progress progress) {
        self.events_.progress("download " + short_hex(address), progress.done, progress.total);
      });
  self.retry_ = std::make_unique<pool::Timer>(loop, [&self] { self.want_lease(); });
  self.mailbox_ = std::make_unique<pool::Mailbox<Report>>(
      loop, kReportsMax, [&self](Report report) { self.on_report(std::move(report)); });
  self.trainer_ = std::make_unique<Trainer>(std::move(factory), identity, self.checkpoint_,
                                            self.options_.check_own, [&self](Report report) {
                                              // The loop drains faster than a device reports; a
                                              // full box is our own bug.
                                              GEMMINE_CHECK(self.mailbox_->post(std::move(report)));
                                            });
  return miner;
}

Miner::Miner(pool::Loop& loop, const verifier::Identity& identity, MinerOptions options,
             Checkpoint checkpoint, Events& events)
    : loop_(loop),
      identity_(identity),
      options_(std::move(options)),
      checkpoint_(std::move(checkpoint)),
      events_(events) {}

Miner::~Miner() = default;

void Miner::start() {
  session_->start();
}

void Miner::stop(const std::string& reason) {
  retry_->stop();
  session_->stop(reason);
  loop_.stop();
}

Miner::LeaseWork* Miner::find(const Digest& lease_id) {
  const auto found = leases_.find(lease_id);
  return found == leases_.end() ? nullptr : &found->second;
}

void Miner::on_ready(const pool::AuthOk& state) {
  events_.event(Level::info, "connected",
                {{"pool", session_->endpoint().text()},
                 {"jobs", std::to_string(state.jobs.size())},
                 {"open_leases", std::to_string(state.leases.size())}});
  asked_ = false;
  if (options_.dry_run) return list_jobs(state);
  fetcher_->on_ready();  // before anything new is asked for
  for (const auto& job : state.jobs)
    add_job(job.job, job.round, job.finished);

  std::vector<Digest> open;
  for (const auto& held : state.leases) {
    const auto lease = verifier::decode_lease(held.lease);
    if (!lease) return broken_message("AUTH_OK", lease.error());
    open.push_back(verifier::lease_id(lease.value()));
    resume(lease.value(), held.shares_accepted, held.delta_stored);
  }
  std::erase_if(leases_, [&](const auto& entry) {
    return std::find(open.begin(), open.end(), entry.first) == open.end();
  });
  for (const Digest& kept : checkpoint_.leases())
    if (std::find(open.begin(), open.end(), kept) == open.end()) checkpoint_.forget(kept);
  want_lease();
  check_finished();
}

void Miner::list_jobs(const pool::AuthOk& state) {
  for (const auto& job : state.jobs) {
    const auto decoded = verifier::decode_job(job.job);
    events_.event(
        Level::info, "job",
        {{"id", short_hex(verifier::job_id(job.job))},
         {"name", decoded ? decoded.value().name : decoded.error().detail},
         {"round", std::to_string(job.round)},
         {"price_per_tmac", decoded ? std::to_string(decoded.value().price_per_tmac) : "?"},
         {"finished", job.finished ? "yes" : "no"}});
  }
  ending_ = {0, "dry run: the pool took the account and the key"};
  stop(ending_.reason);
}

void Miner::add_job(const Bytes& job_bytes, uint32_t round, bool finished) {
  const Digest id = verifier::job_id(job_bytes);
  const auto [at, fresh] = jobs_.try_emplace(id);
  JobWork& work = at->second;
  work.round = round;
  work.finished = finished;
  if (!fresh) {
    if (!finished) prepare(id, work);
    return;
  }
  auto job = verifier::decode_job(job_bytes);
  auto program = job ? kernels::Program::make(job.value().spec) : job.error();
  if (!program || program.value().parameters() > options_.parameters_max) {
    events_.event(Level::warning, "job_refused",
                  {{"job", short_hex(id)},
                   {"reason", program ? "too large for this miner" : program.error().detail}});
    work.refused = true;
    return;
  }
  work.job = std::move(job.value());
  if (!finished) prepare(id, work);
}

void Miner::prepare(const Digest& job_id, JobWork& work) {
  if (work.workload || work.fetching || work.refused) return;
  work.fetching = true;
  const kernels::Program program = kernels::Program::make(work.job.spec).value();
  const uint64_t bytes = program.data_bytes(work.job.spec.records);
  fetcher_->fetch(work.job.train_address, bytes, [this, job_id, program](Result<Bytes> data) {
    JobWork& ready = jobs_.at(job_id);
    ready.fetching = false;
    if (!data) {
      ready.refused = true;
      events_.event(Level::error, "job_data_missing",
                    {{"job", ready.job.name}, {"reason", data.error().detail}});
      return check_finished();
    }
    auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                          kernels::ChunkSource::of_bytes(data.value()));
    ready.workload = std::make_unique<Workload>(
        Workload{ready.job, program, std::move(data.value()), std::move(tree)});
    events_.event(Level::info, "job_ready",
                  {{"job", ready.job.name},
                   {"parameters", std::to_string(program.parameters())},
                   {"records", std::to_string(ready.job.spec.records)}});
    std::vector<Digest> waiting;  // what begins may be abandoned at once
    for (const auto& [id, lease] : leases_)
      if (lease.job == &ready) waiting.push_back(id);
    for (const Digest& id : waiting)
      if (LeaseWork* const lease = find(id)) begin(*lease);
    want_lease();
  });
}

// Why a lease cannot be worked on; null when it can.
const char* Miner::objection(const verifier::Lease& lease) const {
  const bool ours = lease.miner_key == identity_.public_key() &&
                    lease.pool_key == session_->pool_key() && verifier::signed_by_pool(lease);
  if (!ours) return "its signature or keys are wrong";
  const auto job = jobs_.find(lease.job_id);
  if (job == jobs_.end() || job->second.refused) return "its job is not for us";
  const kernels::Spec& spec = job->second.job.spec;
  const bool fits =
      lease.steps == spec.steps_per_lease && lease.round < spec.rounds && lease.slot < spec.slots;
  return fits ? nullptr : "it does not fit its job";
}

// On disk before anything of it is run. Null when that failed, and it was given back.
Miner::LeaseWork* Miner::hold(const verifier::Lease& lease) {
  const Digest id = verifier::lease_id(lease);
  if (auto saved = checkpoint_.save_lease(lease); !saved) {
    events_.event(Level::error, "checkpoint", {{"reason", saved.error().detail}});
    abandon(id, "it cannot be written to disk");
    return nullptr;
  }
  LeaseWork& work = leases_[id];
  work.lease = lease;
  work.job = &jobs_.at(lease.job_id);
  return &work;
}

// Goes on with a lease that the pool still counts as ours.
void Miner::resume(const verifier::Lease& lease, uint32_t accepted, bool delta_stored) {
  const Digest id = verifier::lease_id(lease);
  LeaseWork* known = find(id);
  if (known == nullptr) {
    if (const char* wrong = objection(lease)) return abandon(id, wrong);
    uint32_t run = 0;
    while (checkpoint_.load_share(id, run))
      ++run;
    if (run < accepted) return abandon(id, "this machine does not have its state any more");
    // There may be no file of it at all, if we died before it came: then it starts here.
    known = hold(lease);
    if (known == nullptr) return;
    known->run = run;
    events_.event(Level::info, "lease_resumed",
                  {{"lease", short_hex(id)}, {"shares", std::to_string(run)}});
  }
  known->accepted = accepted;
  known->delta_stored = delta_stored;
  for (uint32_t i = accepted; i < known->run; ++i)
    send_share(*known, i);
  if (known->run == known->lease.shares() && !delta_stored) send_delta(*known);
  begin(*known);
}

void Miner::begin(LeaseWork& work) {
  if (!work.job->workload) return prepare(work.lease.job_id, *work.job);
  if (!work.theta.empty()) return run_next(work);
  const Digest id = verifier::lease_id(work.lease);
  const uint64_t floats = work.job->workload->program.published_floats();
  fetcher_->fetch(work.lease.theta_root, floats * sizeof(float), [this, id](Result<Bytes> bytes) {
    LeaseWork* ready = find(id);
    if (ready == nullptr || !ready->theta.empty()) return;
    if (!bytes)
      return abandon(id, "the weights of round " + std::to_string(ready->lease.round) + ": " +
                             bytes.error().detail);
    // A lease starts without the outer velocity.
    ready->theta.resize(ready->job->workload->program.parameters());
    GEMMINE_CHECK(bytes.value().size() >= ready->theta.size() * sizeof(float));
    std::memcpy(ready->theta.data(), bytes.value().data(), ready->theta.size() * sizeof(float));
    run_next(*ready);
  });
}

void Miner::run_next(LeaseWork& work) {
  if (work.busy || work.run >= work.lease.shares()) return;
  work.busy = trainer_->post(RunShare{work.job->workload.get(), work.lease, work.run, work.theta});
}

void Miner::send_share(const LeaseWork& work, uint32_t index) {
  const auto share = checkpoint_.load_share(verifier::lease_id(work.lease), index);
  if (share)
    session_->send(pool::MessageType::share,
                   pool::encode(pool::ShareMessage{verifier::encode(share.value())}));
}

void Miner::send_delta(const LeaseWork& work) {
  const Digest id = verifier::lease_id(work.lease);
  const auto delta = checkpoint_.load_delta(id);
  if (!delta) return;
  const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                              kernels::ChunkSource::of_bytes(delta.value()));
  const ByteView all = delta.value();
  constexpr uint64_t kPart = pool::kGroupBytes * pool::kGroupsPerPart;
  for (uint64_t at = 0; at < all.size(); at += kPart) {
    const ByteView bytes = all.subspan(at, std::min<uint64_t>(kPart, all.size() - at));
    const kernels::ChunkRange range{at / 1024, (at + bytes.size() + 1023) / 1024};
    pool::DeltaPart part;
    part.lease_id = id;
    part.total_bytes = all.size();
    part.first_group = at / pool::kGroupBytes;
    part.groups = static_cast<uint32_t>((bytes.size() + pool::kGroupBytes - 1) / pool::kGroupBytes);
    auto siblings = tree.open(std::span(&range, 1));
    GEMMINE_CHECK(siblings.ok());  // whole groups of our own bytes
    part.siblings = std::move(siblings.value());
    part.bytes.assign(bytes.begin(), bytes.end());
    session_->send(pool::MessageType::delta, pool::encode(part));
  }
}

void Miner::abandon(const Digest& lease_id, const std::string& reason) {
  events_.event(Level::warning, "lease_abandoned",
                {{"lease", short_hex(lease_id)}, {"reason", reason}});
  session_->send(pool::MessageType::abandon, pool::encode(pool::Abandon{lease_id}));
  leases_.erase(lease_id);
  checkpoint_.forget(lease_id);
}

// One lease in work at a time: the next one when the last share of this one is computed.
void Miner::want_lease() {
  if (!session_->ready() || asked_) return;
  for (const auto& [id, work] : leases_)
    if (work.run < work.lease.shares()) return;
  for (const auto& [id, job] : jobs_) {
    if (job.finished || job.refused || !job.workload) continue;
    asked_ = session_->send(pool::MessageType::get_lease, pool::encode(pool::GetLease{id}));
    return;
  }
}

void Miner::check_finished() {
  if (!options_.exit_when_finished || jobs_.empty()) return;
  const bool done = std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
    return entry.second.finished || entry.second.refused;
  });
  if (!done) return;
  const bool left = std::any_of(jobs_.begin(), jobs_.end(),
                                [](const auto& entry) { return !entry.second.finished; });
  ending_ = left ? Ending{4, "the pool's jobs that are left cannot be worked on here"}
                 : Ending{0, "every job of the pool is finished"};
  stop(ending_.reason);
}

void Miner::on_down(const std::string& reason, uint64_t retry_ms) {
  asked_ = false;
  events_.event(Level::warning, "disconnected",
                {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
}

void Miner::on_end(pool::SessionEnd end, const std::string& reason) {
  // research: one table of exit codes for all programs.
  switch (end) {
    case pool::SessionEnd::refused_account:
      ending_ = {5, "the pool refuses this account: " + reason};
      break;
    case pool::SessionEnd::refused_version:
      ending_ = {8, "the pool speaks another version: " + reason};
      break;
    case pool::SessionEnd::banned:
      ending_ = {5, "the pool has banned this key: " + reason};
      break;
    case pool::SessionEnd::bad_identity:
      ending_ = {6, reason};
      break;
  }
  loop_.stop();
}

}  // namespace gemmine::miner
