#include "pool/server/server.h"

#include <algorithm>
#include <iterator>

#include "kernels/base/check.h"
#include "kernels/base/random.h"
#include "pool/server/neighbourhood.h"
#include "pool/server/status.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kStatusMs = 400;
constexpr uint64_t kStatusShare = 20;     // at most 1/20 of the loop's time goes into status
constexpr uint64_t kBlobPauseMs = 2'000;  // after a GET_BLOB, the next one may still come
// Nobody who fetches blobs at its own pace is left unheard: its queue stays below.
constexpr size_t kHearQueueMax = kBlobAheadMax + (size_t{1} << 20);
constexpr uint64_t kLastWriteMs = 3'000;  // a stop waits that long for the ledger,
constexpr uint64_t kLingerMs = 3'000;     // and that long for farewells to get through

}  // namespace

Result<std::unique_ptr<Server>> Server::start(Loop& loop, Opened opened, Pool pool,
                                              ServerOptions options, uint64_t start_ms,
                                              OnNote on_note) {
  GEMMINE_CHECK(opened.store != nullptr);
  const auto durable = opened.store->size();
  if (!durable) return durable.error();
  GEMMINE_CHECK(durable.value() <= pool.ledger().next_seq());
  // Private constructor: make_unique cannot see it.
  std::unique_ptr<Server> out(new Server(loop, std::move(opened), std::move(pool),
                                         std::move(options), start_ms, durable.value(),
                                         std::move(on_note)));
  if (const Status started = out->start_threads(); !started) return started.error();
  if (const Status listening = out->listen(); !listening) return listening.error();
  out->pool_.resume(out->now());
  out->pool_.take_up_uploads(out->disk_->half_deltas());
  out->sweep();  // before anything that was decided is carried out
  out->tick_.start(kTickMs, kTickMs);
  out->schedule();
  return out;
}

void Server::sweep() {
  const auto swept = sweep_blobs(opened_.blobs.folder(), pool_.needed_blobs());
  if (!swept) return note(Level::warning, "blobs_not_dropped", {{"reason", swept.error().detail}});
  if (swept.value() > 0)
    note(Level::info, "blobs_swept", {{"count", std::to_string(swept.value())}});
}

Status Server::start_threads() {
  if (!options_.status_file.empty()) {
    auto opened = StatusFile::open(loop_, options_.status_file, [this](const std::string& why) {
      if (why.empty()) return note(Level::info, "status_file_writable", {});
      note(Level::warning, "status_file", {{"reason", why}});
    });
    if (!opened) return opened.error();
    status_file_ = std::move(opened.value());
  }
  auto writer = Writer::start(loop_,
                              {.store = std::move(opened_.store),
                               .blobs = &opened_.blobs,
                               .evaluations = opened_.evaluations},
                              writer_observer());
  if (!writer) return writer.error();
  writer_ = std::move(writer.value());
  auto workers = Workers::start(loop_, opened_.jobs,
                                {.blobs = opened_.blobs.folder(),
                                 .threads = options_.config.audit_threads,
                                 .open_store = opened_.open_store,
                                 .pool_key = pool_.ledger().pool_key()},
                                [this](const TaskDone& done) {
                                  if (const auto* const result = std::get_if<EvaluateDone>(&done))
                                    writer_->keep(*result);
                                  pool_.on_task_done(done, now());
                                  schedule();
                                });
  if (!workers) return workers.error();
  workers_ = std::move(workers.value());
  auto disk = Disk::start(
      loop_, opened_.blobs.folder(), disk_peers(),
      [this](const DiskDone& done) {
        pool_.on_disk_done(done, now());
        schedule();
      },
      [this] { return now(); });
  if (!disk) return disk.error();
  disk_ = std::move(disk.value());
  return Ok{};
}

Status Server::listen() {
  const PoolConfig& config = options_.config;
  const ListenOptions options{
      .address = config.listen_host,
      .port = config.listen_port,
      .connections_max = config.connections + 1,  // see make_room()
      .connections_per_ip_max = config.connections_per_ip,
      .limits = {.write_queue_max = size_t{16} << 20, .hear_queue_max = kHearQueueMax}};
  auto listener =
      Listener::open(loop_, opened_.tls, options, [this](std::unique_ptr<Connection> made) {
        const ConnId id{next_id_++};
        made->set_observer(this);
        ids_[made.get()] = id;
        clients_[id].connection = std::move(made);
        greeting_.insert(id);
        if (clients_.size() > options_.config.connections) make_room();
      });
  if (!listener) return listener.error();
  listener_ = std::move(listener.value());
  return Ok{};
}

Server::Server(Loop& loop, Opened opened, Pool pool, ServerOptions options, uint64_t start_ms,
               uint64_t durable, OnNote on_note)
    : loop_(loop),
      opened_(std::move(opened)),
      pool_(std::move(pool)),
      options_(std::move(options)),
      start_ms_(start_ms),
      started_at_ms_(loop.now_ms()),
      on_note_(std::move(on_note)),
      watchers_(watcher_port(), durable),
      watch_(loop, [this] { watch_on(); }),
      flush_(loop, [this] { flush(); }),
      tick_(loop, [this] { on_tick(); }) {}

Server::~Server() {
  clients_.clear();  // the listener outlives its connections
  closed_.clear();
}

// Whoever has not said who it is makes room for the next one, the oldest first: strangers that
// connect and say nothing cannot keep miners out.
void Server::make_room() {
  GEMMINE_CHECK(!greeting_.empty());  // the newest is among them
  const ConnId id = *greeting_.begin();
  const auto client = clients_.find(id);
  pool_.on_close(id);
  greeting_.erase(id);
  ids_.erase(client->second.connection.get());
  clients_.erase(client);  // its socket closes now
}

// A clock that jumps does nothing here: the wall was looked at once, when the process started.
uint64_t Server::now() const {
  return start_ms_ + (loop_.now_ms() - started_at_ms_);
}

void Server::note(Level level, std::string name, Fields fields) {
  on_note_({level, std::move(name), std::move(fields)});
}

void Server::on_open(Connection& connection) {
  const ConnId id = ids_.at(&connection);
  const auto binding = connection.exporter(kAuthExporterLabel);
  if (!binding) return connection.close(binding.error().detail);
  pool_.on_open(id,
                {.channel_binding = binding.value(),
                 .server_random = random_digest(),
                 .neighbourhood = neighbourhood_of(connection.peer().limit_key)},
                now());
}

void Server::on_frame(Connection& connection, const Frame& frame) {
  const ConnId id = ids_.at(&connection);
  if (stage_ != Stage::running) return;
  Client& client = clients_.at(id);
  Peer* const peer = pool_.sessions().find(id);
  const auto type = static_cast<MessageType>(frame.type);
  if (peer != nullptr && peer->stage == Peer::Stage::ready) {
    peer->heard_ms = now();
    if (type == MessageType::get_blob) return on_get_blob(id, client, frame);
    if (type == MessageType::watch && peer->role == Role::auditor)
      return on_watch(id, client, frame);
  }
  if (held_up() && type != MessageType::ping && type != MessageType::bye) {
    // Coming back is the way to send again what is dropped here: shares, deltas.
    refuse(client, frame.seq, WireError::busy, "the ledger cannot be written now", 5'000);
    return connection.close("busy");
  }
  pool_.on_frame(id, frame.type, frame.flags, frame.seq, frame.payload, now());
  if (peer != nullptr && peer->stage == Peer::Stage::ready) {
    greeting_.erase(id);
    connection.set_payload_max(kFramePayloadMax);
  }
  schedule();
}

void Server::on_close(Connection& connection, const std::string& reason) {
  const auto found = ids_.find(&connection);
  if (found == ids_.end()) return;
  const ConnId id = found->second;
  if (const Peer* const peer = pool_.sessions().find(id);
      peer != nullptr && peer->stage == Peer::Stage::ready)
    note(Level::info, "left", {{"key", short_hex(peer->key)}, {"reason", reason}});
  pool_.on_close(id);
  watchers_.forget(id);
  disk_->forget(id);
  greeting_.erase(id);
  const auto client = clients_.find(id);
  closed_.push_back(std::move(client->second.connection));
  clients_.erase(client);
  ids_.erase(found);
  schedule();
}

void Server::on_drained(Connection& connection) {
  const auto found = ids_.find(&connection);
  if (found == ids_.end()) return;
  disk_->on_drained(found->second);
  watch_.start(0);
}

void Server::refuse(Client& client, uint32_t seq, WireError code, const std::string& text,
                    uint32_t retry_after_ms) {
  say(client, ErrorMessage{seq, code, retry_after_ms, text});
}

void Server::on_get_blob(ConnId id, Client& client, const Frame& frame) {
  const auto get = decode<GetBlob>(frame.payload);
  if (!get) {
    refuse(client, frame.seq, WireError::malformed, get.error().detail, 0);
    return hang_up(id, get.error().detail);
  }
  blobs_until_ms_ = now() + kBlobPauseMs;
  disk_->ask(id, frame.seq, get.value());
}

void Server::on_watch(ConnId id, Client& client, const Frame& frame) {
  const auto watch = decode<Watch>(frame.payload);
  if (!watch) {
    refuse(client, frame.seq, WireError::malformed, watch.error().detail, 0);
    return hang_up(id, watch.error().detail);
  }
  watchers_.watch(id, watch.value().first_seq);
  watch_.start(0);
}

void Server::watch_on() {
  if (watchers_.turn()) watch_.start(0);
  leave_when_done();
}

// Everything that comes in while the writer has a step shares the next one.
void Server::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  flush_.start(0);
}

void Server::flush() {
  scheduled_ = false;
  closed_.clear();
  const auto move_to_end = [](auto& to, auto from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  move_to_end(step_.records, pool_.take_records());
  KeptChanges kept = pool_.take_kept();
  move_to_end(step_.kept.put, std::move(kept.put));
  move_to_end(step_.kept.drop, std::move(kept.drop));
  Actions more = pool_.take_actions();
  move_to_end(actions_.sends, std::move(more.sends));
  move_to_end(actions_.hangups, std::move(more.hangups));
  move_to_end(actions_.tasks, std::move(more.tasks));
  move_to_end(actions_.disk, std::move(more.disk));
  move_to_end(actions_.notes, std::move(more.notes));
  step_bytes_ = step_.bytes();
  if (writer_->writing()) return;  // on_durable comes back here
  if (step_.empty()) return carry_out(std::exchange(actions_, {}));
  actions_of_written_ = std::exchange(actions_, {});
  writer_->post(std::exchange(step_, {}));
  step_bytes_ = 0;
}

void Server::on_durable(std::vector<verifier::SignedRecord> records) {
  if (std::exchange(stalled_, false)) note(Level::info, "ledger_writable", {});
  watchers_.on_durable(std::move(records));
  watch_.start(0);
  carry_out(std::exchange(actions_of_written_, {}));
  flush();
  leave_when_done();
}

void Server::carry_out(Actions actions) {
  for (const Event& each : actions.notes)
    on_note_(each);
  for (Task& task : actions.tasks)
    workers_->post(std::move(task));
  for (DiskTask& task : actions.disk)
    disk_->post(std::move(task));
  for (const Outgoing& send : actions.sends) {
    const auto client = clients_.find(send.to);
    if (client == clients_.end()) continue;
    client->second.connection->send(static_cast<uint8_t>(send.type), 0, send.payload);
  }
  for (const Hangup& hangup : actions.hangups)
    hang_up(hangup.to, hangup.reason);
}

void Server::hang_up(ConnId id, const std::string& reason) {
  const auto client = clients_.find(id);
  if (client != clients_.end()) client->second.connection->close(reason);
}

void Server::on_tick() {
  const uint64_t time = now();
  if (stage_ != Stage::running) {
    watchers_.retry();
    watch_.start(0);
    if (time >= stop_at_ms_) say_bye();
    if (clients_.empty() || time >= stop_at_ms_ + kLingerMs) loop_.stop();
    return;
  }
  if (!held_up()) pool_.on_tick(time);
  watchers_.retry();
  disk_->on_tick();
  watch_.start(0);
  schedule();
  if (time >= status_at_ms_) write_status();
  if (options_.exit_when_finished && pool_.all_finished() && workers_->idle() && disk_->idle() &&
      all_durable() && time >= blobs_until_ms_)
    stop("every job is finished");
}

void Server::write_status() {
  if (status_file_ == nullptr || (stage_ == Stage::running && status_file_->busy())) return;
  const uint64_t before = loop_.now_ms();
  PoolView view = view_of(pool_, now());
  view.connections = clients_.size();
  view.tasks_waiting = workers_->waiting();
  view.stalled = stalled_;
  static_cast<void>(status_file_->post(std::move(view)));  // the last one waits for its turn
  // A pool of very many members spends little of its time on telling so.
  const uint64_t took = loop_.now_ms() - before;
  status_at_ms_ = now() + std::max(kStatusMs, took * kStatusShare);
}

void Server::stop(const std::string& reason) {
  if (stage_ != Stage::running) return;
  stage_ = Stage::stopping;
  stop_reason_ = reason;
  stop_at_ms_ = now() + kLastWriteMs;
  listener_->stop();
  flush();
  leave_when_done();
}

void Server::leave_when_done() {
  if (stage_ == Stage::stopping && all_durable() && watchers_.caught_up()) say_bye();
}

void Server::say_bye() {
  if (stage_ == Stage::said_bye) return;
  stage_ = Stage::said_bye;
  stop_at_ms_ = now();
  write_status();
  note(Level::info, "stopping", {{"reason", stop_reason_}});
  for (auto& [id, client] : clients_) {
    say(client, Bye{stop_reason_});
    client.connection->close(stop_reason_);
  }
  if (clients_.empty()) loop_.stop();
}

}  // namespace gemmine::pool
