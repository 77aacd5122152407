// A pool and a miner in one thread and virtual time: events in, actions carried out at once.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/files.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "pool/core/pool.h"
#include "pool/server/examiner.h"
#include "pool/store/blobs.h"
#include "pool/store/intake.h"
#include "tests/unit/pool/kept_store.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/audit/replay.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {

inline Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

// Two rounds of two slots of two shares of two steps each; every lease is a batch, and replayed.
inline verifier::Job toy_job(const Bytes& records) {
  verifier::Job job;
  job.name = "toy";
  job.spec.widths = {4, 8, 3};
  job.spec.records = job.test_records = static_cast<uint32_t>(records.size() / 5);
  job.spec.feature_scale = 0.01F;
  job.spec.lr = 0.05F;
  job.spec.beta1 = 0.9F;
  job.spec.batch = 8;
  job.spec.steps_per_lease = 4;
  job.spec.slots = 2;
  job.spec.rounds = 2;
  job.steps_per_share = 2;
  job.train_address = job.test_address = kernels::blake3(records);
  job.audit.replays_ppm = 1'000'000;
  job.audit.fail_ppm = 1'000'000;
  job.audit.lease_ms = 60'000;
  job.audit.answer_ms = 1'000;
  job.price_per_tmac = uint64_t{1} << 40;
  job.fee_ppm = 20'000;
  return job;
}

struct FakeSetup {
  std::function<void(verifier::Job&)> change = [](verifier::Job&) {};
  std::vector<Digest> auditors;
  uint32_t leases_per_key = 2;
  uint64_t share_ms = 0;
  uint64_t fund = 1'000'000'000;
  uint32_t rounds_kept = 16;
  bool always_threads = false;
};

class FakePool {
 public:
  explicit FakePool(FakeSetup how = {}) : setup(std::move(how)) {
    for (int i = 0; i < 20; ++i)
      for (const int value : {i * 7, i * 31, 255 - i, i * i, i % 3})
        records_.push_back(static_cast<uint8_t>(value));
    verifier::Job job = toy_job(records_);
    setup.change(job);
    work_ = verifier::Work::make(job).value();
    jobs_.emplace(work_->id(), LoadedJob{*work_, records_, records_});
    examiner_ =
        std::make_unique<Examiner>(jobs_, folder_.path(), open_kept(kept), identity_.public_key());
    start({});
  }

  // A new process: the ledger is all that is left.
  void start(const std::vector<verifier::SignedRecord>& ledger) {
    verifier::LedgerState state;
    Receipts receipts;
    for (const verifier::SignedRecord& record : ledger) {
      GEMMINE_CHECK(state.apply(record).ok());
      GEMMINE_CHECK(verifier::check_signature(state, record.signature).ok());
      receipts.take(record);
    }
    durable = ledger;
    Book book(std::move(state), std::move(receipts), identity_);
    if (ledger.empty())
      GEMMINE_CHECK(
          book.append(verifier::RecordKind::genesis,
                      verifier::encode(verifier::GenesisBody{identity_.public_key(), "pool"}), now)
              .ok());
    pool = std::make_unique<Pool>(std::move(book), identity_,
                                  PoolOptions{.random = [this] { return random(); },
                                              .leases_per_key = setup.leases_per_key,
                                              .share_ms = setup.share_ms,
                                              .always_threads = setup.always_threads,
                                              .rounds_kept = setup.rounds_kept,
                                              .auditors = setup.auditors});
    for (const Digest& commitment : secrets_needed(pool->ledger()))
      pool->recall_secret(commitment, digests_of(kept.at(commitment)).at(0));
    std::map<Digest, Digest> starts;
    const std::vector<float> published = verifier::initial_published(program());
    const Digest first = keep(as_bytes(std::span<const float>(published)));
    starts[first] = verifier::start_root(program(), theta_of(first));
    const auto known = pool->ledger().jobs().find(job_id());
    if (known != pool->ledger().jobs().end()) {
      for (const Digest& root : known->second.theta_roots)
        starts[root] = verifier::start_root(program(), theta_of(root));
    }
    GEMMINE_CHECK(pool->add_job(*work_, first, starts, setup.fund, now).ok());
    for (const auto& [work, fund] : beside)
      GEMMINE_CHECK(add_beside(work, fund).ok());
    for (const EvaluateDone& result : recalled)
      pool->recall(result);
    pool->resume(now);
    intake_.emplace(Intake::open(folder_.path()).value());
    pool->take_up_uploads(intake_->half_deltas());
    GEMMINE_CHECK(sweep_blobs(folder_.path(), pool->needed_blobs()).ok());
    settle();
  }

  // A job of the same data and shape, from the same first θ.
  Status add_beside(const verifier::Work& work, uint64_t fund) {
    const std::vector<float> published = verifier::initial_published(work.program());
    const Digest first = keep(as_bytes(std::span<const float>(published)));
    if (!jobs_.contains(work.id())) jobs_.emplace(work.id(), LoadedJob{work, records_, records_});
    return pool->add_job(
        work, first, {{first, verifier::start_root(work.program(), theta_of(first))}}, fund, now);
  }
  // Blobs and what is kept beside the ledger, as on a copy of its disk.
  void adopt(const FakePool& other) {
    std::filesystem::copy(other.folder_.path(), folder_.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    kept = other.ever_kept;
    drawn_ = other.drawn_;
  }
  std::string blob_path(const Digest& address) const {
    return folder_.path() + "/" + to_hex(address.bytes);
  }
  bool has_blob(const Digest& address) const { return read_file(blob_path(address), 1 << 20).ok(); }

  Digest keep(ByteView bytes) {
    const Digest address = kernels::blake3(bytes);
    GEMMINE_CHECK(write_durable(blob_path(address), bytes).ok());
    return address;
  }
  std::vector<float> theta_of(const Digest& root) {
    auto out = load(root);
    out.resize(program().parameters());  // without the outer velocity
    return out;
  }
  std::vector<float> load(const Digest& root) {
    return verifier::floats_of(read_file(blob_path(root), 1 << 20).value());
  }

  // Carries out everything decided, the audits too, until nothing is left.
  void settle() {
    for (bool more = true; more;) {
      for (verifier::SignedRecord& record : pool->take_records())
        durable.push_back(std::move(record));
      KeptChanges changes = pool->take_kept();
      for (const auto& [name, bytes] : changes.put)
        ever_kept.insert_or_assign(name, bytes);
      change(kept, std::move(changes));
      Actions actions = pool->take_actions();
      ever_sent.insert(ever_sent.end(), actions.sends.begin(), actions.sends.end());
      for (Outgoing& send : actions.sends)
        inbox.push_back(std::move(send));
      for (Hangup& hangup : actions.hangups)
        hangups.push_back(std::move(hangup));
      more = !actions.disk.empty() || (!actions.tasks.empty() && run_tasks);
      for (DiskTask& task : actions.disk)
        pool->on_disk_done(run_on_disk(task), now);
      for (const Task& task : actions.tasks) {
        if (!run_tasks) {
          held.push_back(task);
          continue;
        }
        auto instead = intercept(task);
        pool->on_task_done(instead ? *instead : run(task), now);
      }
    }
    // Counted record by record, and scanned: the same, whatever happened.
    GEMMINE_CHECK(pool->totals() == Totals::of(pool->ledger()));
  }

  const Intake& intake() const { return *intake_; }
  DiskDone run_on_disk(DiskTask& task) const {
    if (!fail_disk || !fail_disk(task)) return intake_->run(task);
    if (const auto* const part = std::get_if<StorePart>(&task))
      return PartStored{.from = part->from,
                        .lease_id = part->lease_id,
                        .bytes = part->part.bytes.size(),
                        .why = "the disk is full"};
    if (const auto* const whole = std::get_if<FinishDelta>(&task))
      return DeltaFinished{.lease_id = whole->lease_id, .why = "the disk is full"};
    return intake_->run(task);
  }

  void frame(ConnId id, MessageType type, const Bytes& payload) {
    pool->on_frame(id, static_cast<uint8_t>(type), 0, 1, payload, now);
    settle();
  }
  void run_held() {
    run_tasks = true;
    for (const Task& task : std::exchange(held, {}))
      pool->on_task_done(run(task), now);
    settle();
  }
  TaskDone run(const Task& task) {
    TaskDone out = examiner_->run(task, [] { return false; });
    if (auto* const audit = std::get_if<AuditDone>(&out); audit != nullptr && !descents)
      audit->next = {};
    return out;
  }
  void tick(uint64_t after_ms) {
    now += after_ms;
    pool->on_tick(now);
    settle();
  }

  // The newest message of a type since the last call; it and those before it are gone then.
  std::optional<Bytes> receive(MessageType type) {
    for (size_t i = inbox.size(); i-- > 0;) {
      if (inbox[i].type != type) continue;
      Bytes out = std::move(inbox[i].payload);
      inbox.erase(inbox.begin(), inbox.begin() + static_cast<ptrdiff_t>(i) + 1);
      return out;
    }
    return {};
  }
  std::optional<WireError> error() {
    const auto payload = receive(MessageType::error);
    if (!payload) return {};
    return decode<ErrorMessage>(*payload).value().code;
  }

  // HELLO to AUTH_OK; what went wrong, if anything.
  std::optional<WireError> join(ConnId id, const verifier::Identity& miner, Role role = Role::miner,
                                const std::string& account = "alice",
                                const std::string& neighbourhood = {}) {
    pool->on_open(
        id,
        {.channel_binding = filled(1), .server_random = filled(2), .neighbourhood = neighbourhood},
        now);
    Hello hello;
    hello.role = role;
    hello.public_key = miner.public_key();
    hello.account = account;
    frame(id, MessageType::hello, encode(hello));
    const AuthMaterial material{.server_random = filled(2),
                                .client_random = {},
                                .channel_binding = filled(1),
                                .pool_key = identity_.public_key(),
                                .public_key = miner.public_key(),
                                .role = role,
                                .account = account};
    frame(id, MessageType::auth, encode(make_auth(material, miner, ++auth_counter)));
    if (receive(MessageType::auth_ok)) return {};
    return error();
  }

  std::optional<verifier::Lease> get_lease(ConnId id) {
    inbox.clear();
    frame(id, MessageType::get_lease, encode(GetLease{}));
    const auto payload = receive(MessageType::lease);
    if (!payload) return {};
    return verifier::decode_lease(decode<LeaseMessage>(*payload).value().lease).value();
  }

  // Why there was none, if the last get_lease() brought none.
  std::optional<NoLease> no_lease() {
    const auto payload = receive(MessageType::no_lease);
    if (!payload) return {};
    return decode<NoLease>(*payload).value();
  }

  // The shares and the delta of a lease, honestly.
  struct Work {
    std::vector<verifier::Share> shares;
    std::vector<verifier::ShareRun> runs;
    std::vector<std::vector<float>> states;  // before each share
    Bytes delta;
  };
  Work work(const verifier::Lease& lease, const verifier::Identity& miner) {
    return work(lease, miner, *engine());
  }
  Work work(const verifier::Lease& lease, const verifier::Identity& miner,
            kernels::Engine& engine) {
    Work out;
    const std::vector<float> theta = theta_of(lease.theta_root);
    std::vector<float> state = theta;
    state.resize(program().state_floats());
    for (uint32_t i = 0; i < lease.shares(); ++i) {
      auto run = verifier::run_share(engine, {*work_, lease, theta}, i, state);
      verifier::sign(run.value().share, miner);
      out.shares.push_back(run.value().share);
      out.states.push_back(state);
      state = run.value().state_after;
      out.delta = run.value().delta;
      out.runs.push_back(std::move(run.value()));
    }
    return out;
  }
  void send_share(ConnId id, const verifier::Share& share, const std::vector<Digest>& steps) {
    frame(id, MessageType::share, encode(ShareMessage{encode(share), steps}));
  }
  void send_share(ConnId id, const Work& work, uint32_t index) {
    send_share(id, work.shares[index], work.runs[index].step_digests);
  }
  void send_delta(ConnId id, const verifier::Lease& lease, const Bytes& delta) {
    const Upload upload{lease.id, kDelta, {delta.size(), 0, 1, {}, delta}};
    frame(id, MessageType::upload, encode(upload));
  }
  // All of a lease that was worked on, as it is in `work`.
  void deliver(ConnId id, const verifier::Lease& lease, const Work& work) {
    for (uint32_t i = 0; i < work.shares.size(); ++i)
      send_share(id, work, i);
    send_delta(id, lease, work.delta);
  }
  // A lease from start to end, honestly; nothing when there is none.
  std::optional<verifier::Lease> do_lease(ConnId id, const verifier::Identity& miner) {
    const auto lease = get_lease(id);
    if (lease) deliver(id, *lease, work(*lease, miner));
    return lease;
  }
  void abandon(ConnId id, const verifier::Lease& lease, const verifier::Identity& miner,
               uint32_t diverged = verifier::kNoStep) {
    frame(id, MessageType::abandon,
          encode(Abandon{lease.id, diverged, miner.sign(verifier::abandon_message(lease.id))}));
  }

  const verifier::LeaseState& lease_state(const verifier::Lease& lease) const {
    return pool->ledger().leases().at(lease.id);
  }
  size_t count(verifier::RecordKind kind) const {
    return static_cast<size_t>(std::ranges::count(durable, kind, &verifier::Record::kind));
  }
  int64_t sum() const {
    int64_t out = 0;
    for (const auto& [account, amount] : pool->ledger().accounts())
      out += amount;
    return out;
  }
  const Digest& job_id() const { return work_->id(); }
  const verifier::Work& job_work() const { return *work_; }
  std::unique_ptr<kernels::Engine> engine() const {
    return std::move(kernels::make_engine("cpu", program(), records_, 1).value());
  }
  const Bytes& records() const { return records_; }
  const verifier::Job& job() const { return work_->job(); }
  const verifier::Identity& identity() const { return identity_; }
  const verifier::JobState& job_state() const { return pool->ledger().jobs().at(job_id()); }

  uint64_t now = 1'000'000;
  uint64_t auth_counter = 0;  // of the last member word
  bool run_tasks = true;
  bool descents = false;   // miners are asked about what a replay found wrong
  std::vector<Task> held;  // while run_tasks is off
  // Whether the disk fails at this.
  std::function<bool(const DiskTask&)> fail_disk;
  // A task's result in place of the real one.
  std::function<std::optional<TaskDone>(const Task&)> intercept = [](const Task&) {
    return std::optional<TaskDone>{};
  };
  std::vector<EvaluateDone> recalled;  // what a start finds of earlier evaluations
  std::vector<verifier::SignedRecord> durable;
  KeptMap kept;
  KeptMap ever_kept;                // also what was dropped since
  std::vector<Outgoing> inbox;      // not taken yet
  std::vector<Outgoing> ever_sent;  // all of it
  std::vector<Hangup> hangups;
  std::unique_ptr<Pool> pool;
  std::vector<std::pair<verifier::Work, uint64_t>>
      beside;  // further jobs of the next start(), funds
  FakeSetup setup;

 private:
  const kernels::Program& program() const { return work_->program(); }
  Digest random() { return kernels::blake3(gemmine::Writer().put(++drawn_).bytes()); }

  TempDirectory folder_;
  std::optional<Intake> intake_;
  Bytes records_;
  std::optional<verifier::Work> work_;
  JobTable jobs_;
  std::unique_ptr<Examiner> examiner_;
  uint64_t drawn_ = 0;
  verifier::Identity identity_ = verifier::Identity::from_seed(filled(7));
};

}  // namespace gemmine::pool
