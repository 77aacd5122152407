#include "tests/sim/world.h"

#include <algorithm>
#include <fstream>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/blobs/piece_file.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::sim {

using pool::filled;
using verifier::Record;
using verifier::RecordKind;

namespace {

constexpr uint32_t kCrashesMax = 4;
constexpr uint64_t kTickMs = 250;
constexpr size_t kMeanRecordsOfALife = 60;

// Cause and posting are one transaction, and so are a job and its funds: no crash parts them.
bool follows(const Record& record) {
  return record.kind == RecordKind::post || record.kind == RecordKind::fund;
}

}  // namespace

World::World(uint64_t seed, Plant plant, const Setting& setting, std::vector<Digest> auditors,
             Random random)
    : random_(random),
      plant_(plant),
      setting_(setting),
      auditors_(std::move(auditors)),
      training_(setting, random_),
      identity_(verifier::Identity::from_seed(filled(7))) {
  jobs_.emplace(training_.work().id(),
                pool::LoadedJob{training_.work(), training_.records(), training_.records()});
  examiner_ = std::make_unique<pool::Examiner>(jobs_, folder_.path(), pool::open_kept(kept_),
                                               identity_.public_key());
  now_ += seed % 1000;
  start();
}

void World::after(uint64_t ms, std::function<void()> what) {
  events_.push({now_ + ms, order_++, std::move(what)});
}

bool World::step() {
  if (events_.empty()) return false;
  const Event event = events_.top();
  events_.pop();
  now_ = std::max(now_, event.time_ms);
  event.what();
  return true;
}

uint64_t World::delay() {
  return random_.chance(50) ? random_.between(200, 800) : random_.between(1, 60);
}

void World::keep(const Bytes& bytes) {
  const Digest address = kernels::blake3(bytes);
  if (!blobs_.emplace(address, bytes).second) return;
  std::ofstream file(folder_.path() + "/" + to_hex(address.bytes), std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  GEMMINE_CHECK(file.flush().good());
}

void World::start() {
  verifier::LedgerState state;
  pool::Receipts receipts;
  for (const verifier::SignedRecord& record : disk_) {
    if (const Status applied = state.apply(record); !applied)
      return fail("the disk is no ledger: " + applied.error().detail);
    receipts.take(record);
  }
  pool::Book book(std::move(state), std::move(receipts), identity_);
  if (disk_.empty())
    GEMMINE_CHECK(
        book.append(RecordKind::genesis,
                    verifier::encode(verifier::GenesisBody{identity_.public_key(), "pool"}), now_)
            .ok());
  pool_ = std::make_unique<pool::Pool>(
      std::move(book), identity_,
      pool::PoolOptions{
          .random = [this] { return kernels::blake3(Writer().put(random_.next()).bytes()); },
          .share_ms = setting_.share_ms,
          .audits_at_once = 2,
          .auditors = auditors_});
  for (const Digest& commitment : pool::secrets_needed(pool_->ledger()))
    pool_->recall_secret(commitment, pool::digests_of(kept_.at(commitment)).at(0));
  const kernels::Program& program = training_.program();
  const auto first = verifier::initial_published(program);
  const ByteView bytes = as_bytes(std::span<const float>(first));
  keep(Bytes(bytes.begin(), bytes.end()));
  std::map<Digest, Digest> starts;
  for (const auto& [address, blob] : blobs_) {
    if (blob.size() != program.published_floats() * sizeof(float)) continue;
    const auto published = verifier::floats_of(blob);
    starts[address] = verifier::start_root(program, verifier::theta_of(program, published));
  }
  GEMMINE_CHECK(
      pool_->add_job(training_.work(), kernels::blake3(bytes), starts, fund(), now_).ok());
  pool_->resume(now_);
  intake_.emplace(pool::Intake::open(folder_.path()).value());
  pool_->take_up_uploads(intake_->half_deltas());
  ++life_;
  flushing_ = false;
  if (crashes_ < kCrashesMax && (crashes_ == 0 || random_.chance(600)))
    crash_at_ = disk_.size() + random_.between(1, 2 * kMeanRecordsOfALife);
  touch();
  const auto tick = [this, life = life_](const auto& self) -> void {
    if (life != life_ || pool_ == nullptr || fill_up()) return;
    pool_->on_tick(now_);
    touch();
    after(kTickMs, [self] { self(self); });
  };
  after(kTickMs, [tick] { tick(tick); });
}

// For a lease or a few, in a hard world.
uint64_t World::fund() {
  if (!setting_.hard) return 1'000'000'000'000;
  const verifier::Job& job = training_.job();
  const uint64_t macs = training_.program().macs_per_step() * job.spec.steps_per_lease;
  const double gross = static_cast<double>(macs) * static_cast<double>(job.price_per_tmac) * 1e-12;
  return (static_cast<uint64_t>(gross) + 1) * random_.between(1, 4);
}

bool World::fill_up() {
  if (!setting_.hard || flushing_ || !pool_->rooms().begin()->second.dry) return false;
  if (!random_.chance(20)) return false;
  stop();
  return true;
}

// Everything in memory is gone; who was connected finds out in his own time.
void World::crash() {
  ++crashes_;
  crash_at_.reset();
  stop();
  if (plant_ == Plant::lost_tail) {
    while (follows(disk_.back()))
      disk_.pop_back();
    disk_.pop_back();
  }
}

void World::stop() {
  pool_.reset();
  ++life_;
  for (auto& [id, link] : links_)
    drop(id);
  after(random_.chance(150) ? random_.between(60'000, 400'000) : random_.between(100, 15'000),
        [this] { start(); });
}

void World::touch() {
  if (pool_ == nullptr || flushing_) return;
  flushing_ = true;
  if (plant_ == Plant::early_words) carry_out(pool_->take_actions());
  after(random_.between(0, 8), [this, life = life_] {
    if (life == life_) flush();
  });
}

void World::flush() {
  flushing_ = false;
  std::vector<verifier::SignedRecord> records = pool_->take_records();
  if (crash_at_ && disk_.size() + records.size() >= *crash_at_) {
    size_t kept = *crash_at_ > disk_.size() ? *crash_at_ - disk_.size() : 0;
    if (random_.chance(300)) kept = records.size();  // durable, and never said
    if (plant_ == Plant::lost_tail) kept = 0;
    while (kept < records.size() && follows(records[kept]))
      ++kept;
    disk_.insert(disk_.end(), records.begin(), records.begin() + static_cast<ptrdiff_t>(kept));
    // Beside a record that is there is what belongs to it, and nothing of it is gone.
    pool::change(kept_, {.put = pool_->take_kept().put, .drop = {}});
    return crash();
  }
  disk_.insert(disk_.end(), records.begin(), records.end());
  pool::KeptChanges changes = pool_->take_kept();
  if (plant_ == Plant::lost_tail) changes.drop.clear();  // it goes back, with all that was on it
  pool::change(kept_, std::move(changes));
  carry_out(pool_->take_actions());
  serve_watchers();
}

void World::carry_out(pool::Actions actions) {
  for (pool::Outgoing& message : actions.sends)
    to_actor(message.to, message.type, std::move(message.payload));
  for (const pool::Hangup& hangup : actions.hangups)
    pool_hangs_up(hangup.to);
  for (pool::DiskTask& task : actions.disk) {
    // One after the other, as on the disk's threads.
    after(1, [this, task = std::move(task), life = life_]() mutable {
      if (life == life_) run_disk_task(task);
    });
  }
  for (const pool::Task& task : actions.tasks) {
    after(random_.between(1, 400), [this, task, life = life_] {
      if (life == life_) run_task(task);
    });
  }
}

// As the disk's threads do it, but without their fsync: there are thousands.
void World::run_disk_task(pool::DiskTask& task) {
  const auto* const whole = std::get_if<pool::FinishDelta>(&task);
  if (whole == nullptr) {
    pool_->on_disk_done(intake_->run(task), now_);
    return touch();
  }
  const std::string path = intake_->delta_path(whole->lease_id);
  const auto bytes = read_file(path, verifier::delta_bytes(whole->parameters));
  pool::DeltaFinished done{whole->lease_id, pool::Stored::later, "cut"};
  if (bytes && kernels::blake3(bytes.value()) == whole->root) {
    keep(bytes.value());
    pool::remove_file(path);
    done.stored = pool::Stored::yes;
  }
  pool_->on_disk_done(done, now_);
  touch();
}

// As the audit threads do it, likewise.
pool::MergeDone World::merge(const pool::MergeTask& task) {
  pool::MergeDone out{.job_id = task.job_id,
                      .round = task.round,
                      .lease_ids = task.lease_ids,
                      .subtracted = task.subtracted,
                      .theta_root = {},
                      .start_root = {},
                      .failed = ""};
  if (random_.chance(100)) {
    out.failed = "the disk is full";
    return out;
  }
  verifier::Merge sum(training_.work());
  for (const Digest& root : task.delta_roots)
    GEMMINE_CHECK(sum.add(blobs_.at(root)).ok());
  for (const Digest& root : task.subtracted_roots)
    GEMMINE_CHECK(sum.subtract(blobs_.at(root)).ok());
  std::vector<float> published = verifier::floats_of(blobs_.at(task.theta_root));
  if (plant_ == Plant::no_velocity)
    std::fill(published.begin() + static_cast<ptrdiff_t>(training_.program().parameters()),
              published.end(), 0.0F);
  const auto theta = sum.finish(published, training_.program().spec().slots).value();
  const ByteView bytes = as_bytes(std::span<const float>(theta));
  keep(Bytes(bytes.begin(), bytes.end()));
  out.theta_root = kernels::blake3(bytes);
  out.start_root =
      verifier::start_root(training_.program(), verifier::theta_of(training_.program(), theta));
  return out;
}

void World::run_task(const pool::Task& task) {
  const auto* const wanted = std::get_if<pool::MergeTask>(&task);
  pool::TaskDone done =
      wanted ? pool::TaskDone(merge(*wanted)) : examiner_->run(task, [] { return false; });
  if (auto* const audit = std::get_if<pool::AuditDone>(&done); audit && random_.chance(30))
    audit->found.finding = {verifier::Outcome::undecided, verifier::kNoStep, "the engine failed"};
  pool_->on_task_done(done, now_);
  touch();
}

ConnId World::connect(Actor& actor) {
  const ConnId id{next_link_++};
  Link& link = links_[id];
  link.actor = &actor;
  link.to_pool_ms = link.to_actor_ms = now_ + delay();
  after(link.to_pool_ms - now_, [this, id] {
    if (links_.at(id).cut) return;
    if (pool_ == nullptr) return drop(id);
    Digest server_random;
    server_random.bytes[0] = static_cast<uint8_t>(random_.next());
    pool_->on_open(id, {.channel_binding = channel_binding(id), .server_random = server_random},
                   now_);
  });
  return id;
}

Digest World::channel_binding(ConnId link) const {
  Digest out = filled(1);
  out.bytes[0] = static_cast<uint8_t>(link);
  out.bytes[1] = static_cast<uint8_t>(static_cast<uint64_t>(link) >> 8);
  return out;
}

void World::send(ConnId id, MessageType type, Bytes payload) {
  Link& link = links_.at(id);
  if (link.cut) return;
  if (random_.chance(6)) return drop(id);
  link.to_pool_ms = std::max(link.to_pool_ms, now_ + delay());
  after(link.to_pool_ms - now_,
        [this, id, type, payload = std::move(payload)] { deliver(id, type, payload); });
}

void World::deliver(ConnId id, MessageType type, const Bytes& payload) {
  Link& link = links_.at(id);
  if (link.cut || pool_ == nullptr) return;
  const pool::Peer* const peer = pool_->sessions().find(id);
  const bool watches = peer != nullptr && peer->stage == pool::Peer::Stage::ready &&
                       type == MessageType::watch && peer->role == pool::Role::auditor;
  if (watches) {
    link.watch_from = decode<pool::Watch>(payload).value().first_seq;
    return serve_watchers();
  }
  pool_->on_frame(id, static_cast<uint8_t>(type), 0, 1, payload, now_);
  touch();
}

void World::to_actor(ConnId id, MessageType type, Bytes payload) {
  const auto found = links_.find(id);
  if (found == links_.end() || found->second.cut) return;
  if (random_.chance(6)) return drop(id);
  Link& link = found->second;
  link.to_actor_ms = std::max(link.to_actor_ms, now_ + delay());
  after(link.to_actor_ms - now_, [this, id, type, payload = std::move(payload)] {
    Link& to = links_.at(id);
    if (!to.cut) to.actor->on_message(id, type, payload);
  });
}

void World::pool_hangs_up(ConnId id) {
  pool_->on_close(id);
  Link& link = links_.at(id);
  link.watch_from.reset();
  after(std::max(link.to_actor_ms, now_) - now_, [this, id] { drop(id); });
}

void World::drop(ConnId id) {
  Link& link = links_.at(id);
  if (link.cut) return;
  link.cut = true;
  link.watch_from.reset();
  after(random_.between(1, 3'000), [actor = link.actor, id] { actor->on_lost(id); });
  // The pool may believe in a dead connection for long.
  after(random_.between(1, 20'000), [this, id, life = life_] {
    if (life == life_ && pool_ != nullptr) pool_->on_close(id);
  });
}

void World::serve_watchers() {
  for (auto& [id, link] : links_) {
    while (link.watch_from && *link.watch_from < disk_.size()) {
      const verifier::SignedRecord& record = disk_[(*link.watch_from)++];
      to_actor(id, MessageType::record,
               encode(pool::RecordMessage{record.receipt(), record.kind, record.body}));
    }
  }
}

}  // namespace gemmine::sim
