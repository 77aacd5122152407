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
#include "tests/unit/pool/temp_directory.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {

inline Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

// Two rounds of two slots of two shares of two steps each; everything is replayed.
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
  job.audit = {.replay_ppm = 1'000'000,
               .spot_ppm = 0,
               .spot_blocks = 1,
               .probation_shares = 1,
               .vest_leases = 1,
               .lease_ms = 60'000,
               .answer_ms = 1'000};
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
    examiner_ = std::make_unique<Examiner>(jobs_, cache_, folder_.path());
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
      GEMMINE_CHECK(book.append(verifier::RecordKind::genesis,
                                verifier::genesis_body(identity_.public_key(), "pool"), now)
                        .ok());
    pool = std::make_unique<Pool>(std::move(book), identity_,
                                  PoolOptions{.coin_master = filled(9),
                                              .leases_per_key = setup.leases_per_key,
                                              .share_ms = setup.share_ms,
                                              .rounds_kept = setup.rounds_kept,
                                              .auditors = setup.auditors});
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
  bool has_blob(const Digest& address) const {
    return read_file(folder_.path() + "/" + to_hex(address.bytes), 1 << 20).ok();
  }

  Digest keep(ByteView bytes) {
    const Digest address = kernels::blake3(bytes);
    GEMMINE_CHECK(write_durable(folder_.path() + "/" + to_hex(address.bytes), bytes).ok());
    return address;
  }
  std::vector<float> theta_of(const Digest& root) {
    auto out = load(root);
    out.resize(program().parameters());  // without the outer velocity
    return out;
  }
  std::vector<float> load(const Digest& root) {
    const auto bytes = read_file(folder_.path() + "/" + to_hex(root.bytes), 1 << 20);
    return verifier::floats_of(bytes.value());
  }

  // Carries out everything decided, the audits too, until nothing is left.
  void settle() {
    for (bool more = true; more;) {
      for (verifier::SignedRecord& record : pool->take_records())
        durable.push_back(std::move(record));
      Actions actions = pool->take_actions();
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
        pool->on_task_done(instead ? *instead : examiner_->run(task), now);
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
    if (const auto* const opening = std::get_if<StoreOpening>(&task))
      return OpeningStored{.from = opening->from,
                           .lease_id = opening->lease_id,
                           .share = opening->share,
                           .bytes = opening->opening.size(),
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
      pool->on_task_done(examiner_->run(task), now);
    settle();
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
  std::optional<Challenge> challenge() {
    const auto payload = receive(MessageType::challenge);
    if (!payload) return {};
    return decode<Challenge>(*payload).value();
  }
  std::optional<WireError> error() {
    const auto payload = receive(MessageType::error);
    if (!payload) return {};
    return decode<ErrorMessage>(*payload).value().code;
  }

  // HELLO to AUTH_OK; what went wrong, if anything.
  std::optional<WireError> join(ConnId id, const verifier::Identity& miner, Role role = Role::miner,
                                const std::string& account = "alice") {
    pool->on_open(id, filled(1), filled(2), now);
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
    Work out;
    auto engine = kernels::make_engine("cpu", program(), records_, 1);
    const std::vector<float> theta = theta_of(lease.theta_root);
    std::vector<float> state = theta;
    state.resize(program().state_floats());
    for (uint32_t i = 0; i < lease.shares(); ++i) {
      auto run = verifier::run_share(*engine.value(), {*work_, lease, theta}, i, state);
      verifier::sign(run.value().share, miner);
      out.shares.push_back(run.value().share);
      out.states.push_back(state);
      state = run.value().state_after;
      out.delta = run.value().delta;
      out.runs.push_back(std::move(run.value()));
    }
    return out;
  }
  // What a challenge asks for, honestly.
  std::vector<Bytes> open(const verifier::Lease& lease, const Work& work, uint32_t index,
                          const Digest& seed) {
    std::vector<Bytes> out;
    const std::vector<float> theta = theta_of(lease.theta_root);
    const verifier::ShareRun& run = work.runs[index];
    const auto choices = verifier::choose_blocks(program(), job().audit, seed, run.share.steps,
                                                 index + 1 == lease.shares());
    for (const verifier::BlockChoice& choice : choices) {
      auto engine = std::move(kernels::make_engine("cpu", program(), records_, 1).value());
      GEMMINE_CHECK(engine->load_state(work.states[index], run.share.first_step).ok());
      const uint32_t step = choice.delta ? run.share.steps - 1 : choice.step;
      for (uint32_t h = run.share.first_step; h <= run.share.first_step + step; ++h) {
        const Digest key = verifier::step_key(run.share.lease_id, h);
        GEMMINE_CHECK(engine->run_step({lease.round, lease.slot, h}, &key).ok());
      }
      out.push_back(verifier::make_opening({{*work_, lease, theta},
                                            run,
                                            work.states[index],
                                            run.state_after,
                                            records_,
                                            nullptr,
                                            *engine},
                                           choice)
                        .value());
    }
    return out;
  }
  void send_opening(ConnId id, const Digest& lease_id, uint32_t index, uint32_t block,
                    const Bytes& opening) {
    frame(id, MessageType::opening, encode(OpeningMessage{lease_id, index, block, opening}));
  }

  void send_share(ConnId id, const verifier::Share& share) {
    frame(id, MessageType::share, encode(ShareMessage{encode(share)}));
  }
  void send_delta(ConnId id, const verifier::Lease& lease, const Bytes& delta) {
    DeltaPart part{lease.id, {delta.size(), 0, 1, {}, delta}};
    frame(id, MessageType::delta, encode(part));
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
  const verifier::Job& job() const { return work_->job(); }
  const verifier::Identity& identity() const { return identity_; }
  const verifier::JobState& job_state() const { return pool->ledger().jobs().at(job_id()); }

  uint64_t now = 1'000'000;
  uint64_t auth_counter = 0;  // of the last member word
  bool run_tasks = true;
  std::vector<Task> held;  // while run_tasks is off
  // Whether the disk fails at this.
  std::function<bool(const DiskTask&)> fail_disk;
  // A task's result in place of the real one.
  std::function<std::optional<TaskDone>(const Task&)> intercept = [](const Task&) {
    return std::optional<TaskDone>{};
  };
  std::vector<EvaluateDone> recalled;  // what a start finds of earlier evaluations
  std::vector<verifier::SignedRecord> durable;
  std::vector<Outgoing> inbox;
  std::vector<Hangup> hangups;
  std::unique_ptr<Pool> pool;
  std::vector<std::pair<verifier::Work, uint64_t>>
      beside;  // further jobs of the next start(), funds
  FakeSetup setup;

 private:
  const kernels::Program& program() const { return work_->program(); }

  TempDirectory folder_;
  std::optional<Intake> intake_;
  Bytes records_;
  std::optional<verifier::Work> work_;
  JobTable jobs_;
  StateCache cache_{1 << 20};
  std::unique_ptr<Examiner> examiner_;
  verifier::Identity identity_ = verifier::Identity::from_seed(filled(7));
};

}  // namespace gemmine::pool
