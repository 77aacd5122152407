#include "pool/server/server.h"

#include <algorithm>
#include <iterator>

#include "kernels/base/random.h"
#include "pool/server/status.h"

namespace gemmine::pool {

Result<std::unique_ptr<Server>> Server::start(Loop& loop, Opened opened, Pool pool,
                                              ServerOptions options, uint64_t start_ms,
                                              OnNote on_note) {
  const auto durable = opened.store.size();
  if (!durable) return durable.error();
  // Private constructor: make_unique cannot see it.
  std::unique_ptr<Server> out(new Server(loop, std::move(opened), std::move(pool),
                                         std::move(options), start_ms, durable.value(),
                                         std::move(on_note)));
  Server& server = *out;
  const PoolConfig& config = server.options_.config;
  const ListenOptions listen{.address = config.listen_host,
                             .port = config.listen_port,
                             .connections_max = config.connections,
                             .connections_per_ip_max = config.connections_per_ip,
                             .limits = {.write_queue_max = size_t{16} << 20}};
  auto listener =
      Listener::open(loop, server.opened_.tls, listen, [&server](std::unique_ptr<Connection> made) {
        const ConnId id{server.next_id_++};
        made->set_observer(&server);
        server.ids_[made.get()] = id;
        server.clients_[id].connection = std::move(made);
      });
  if (!listener) return listener.error();
  server.listener_ = std::move(listener.value());
  server.workers_ = std::make_unique<Workers>(
      loop, server.opened_.jobs, server.opened_.blobs.folder(), config.audit_threads,
      config.audit_cache_bytes, [&server](const TaskDone& done) {
        server.pool_.on_task_done(done, server.now());
        server.schedule();
      });
  server.pool_.resume(server.now());
  server.tick_.start(kTickMs, kTickMs);
  server.schedule();
  return out;
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

Server::~Server() = default;

// A clock that jumps does nothing here: the wall was looked at once, when the process started.
uint64_t Server::now() const {
  return start_ms_ + (loop_.now_ms() - started_at_ms_);
}

void Server::note(std::string name, Fields fields, Level level) {
  on_note_({level, std::move(name), std::move(fields)});
}

void Server::on_open(Connection& connection) {
  const ConnId id = ids_.at(&connection);
  const auto binding = connection.exporter(kAuthExporterLabel);
  if (!binding) return connection.close(binding.error().detail);
  pool_.on_open(id, binding.value(), random_digest(), now());
}

void Server::on_frame(Connection& connection, const Frame& frame) {
  const ConnId id = ids_.at(&connection);
  Client& client = clients_.at(id);
  Peer* const peer = pool_.sessions().find(id);
  const auto type = static_cast<MessageType>(frame.type);
  if (peer != nullptr && peer->stage == Peer::Stage::ready) {
    peer->heard_ms = now();
    if (type == MessageType::get_blob) return on_get_blob(id, client, frame);
    if (type == MessageType::watch && peer->role == Role::auditor)
      return on_watch(id, client, frame);
  }
  if (stalled_ && type != MessageType::ping && type != MessageType::bye) {
    // Coming back is the way to send again what is dropped here: shares, openings, deltas.
    refuse(client, frame.seq, WireError::busy, "the ledger cannot be written now", 5'000);
    return connection.close("busy");
  }
  pool_.on_frame(id, frame.type, frame.flags, frame.seq, frame.payload, now());
  if (peer != nullptr && peer->stage == Peer::Stage::ready)
    connection.set_payload_max(kFramePayloadMax);
  schedule();
}

void Server::on_close(Connection& connection, const std::string& reason) {
  const auto found = ids_.find(&connection);
  if (found == ids_.end()) return;
  const ConnId id = found->second;
  if (const Peer* const peer = pool_.sessions().find(id);
      peer != nullptr && peer->stage == Peer::Stage::ready)
    note("left", {{"key", short_hex(peer->key)}, {"reason", reason}});
  pool_.on_close(id);
  watchers_.forget(id);
  const auto client = clients_.find(id);
  closed_.push_back(std::move(client->second.connection));
  clients_.erase(client);
  ids_.erase(found);
  schedule();
}

void Server::on_drained(Connection& connection) {
  const auto found = ids_.find(&connection);
  if (found == ids_.end()) return;
  serve_blobs(clients_.at(found->second));
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
  if (client.blob_waits.size() >= kBlobWaitsMax)
    return refuse(client, frame.seq, WireError::too_many, "too many GET_BLOBs at once", 1'000);
  client.blob_waits.push_back(get.value());
  serve_blobs(client);
}

void Server::serve_blobs(Client& client) {
  while (!client.blob_waits.empty() && client.connection->queued_bytes() < kSendAheadMax) {
    const GetBlob get = client.blob_waits.front();
    client.blob_waits.erase(client.blob_waits.begin());
    const auto part = opened_.blobs.part(get);
    if (!part) {
      refuse(client, 0, WireError::unknown_blob, part.error().detail, 0);
    } else if (!say(client, part.value())) {
      return;
    }
  }
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

Watchers::Port Server::watcher_port() {
  return {.queued_bytes = [this](ConnId id) { return clients_.at(id).connection->queued_bytes(); },
          .send =
              [this](ConnId id, std::span<const Bytes> payloads) {
                clients_.at(id).connection->send_all(static_cast<uint8_t>(MessageType::record),
                                                     payloads);
              },
          .read =
              [this](ConnId id, uint64_t first) {
                const auto records = opened_.store.read(first, kWatchRecordsMax, kWatchBytesMax);
                watchers_.on_read(id, first,
                                  records ? records.value() : std::vector<verifier::Record>{});
              }};
}

void Server::watch_on() {
  if (watchers_.turn()) watch_.start(0);
}

// Everything that comes in during one turn of the loop shares one transaction.
void Server::schedule() {
  if (scheduled_ || stalled_) return;
  scheduled_ = true;
  flush_.start(0);
}

void Server::flush() {
  scheduled_ = false;
  closed_.clear();
  const auto move_to_end = [](auto& to, auto from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  move_to_end(blobs_, pool_.take_blobs());
  move_to_end(records_, pool_.take_records());
  Actions more = pool_.take_actions();
  move_to_end(actions_.sends, std::move(more.sends));
  move_to_end(actions_.hangups, std::move(more.hangups));
  move_to_end(actions_.tasks, std::move(more.tasks));
  move_to_end(actions_.notes, std::move(more.notes));
  if (!make_durable()) {
    flush_.start(kStoreRetryMs);
    return;
  }
  carry_out(std::exchange(actions_, {}));
}

bool Server::make_durable() {
  Status done = Ok{};
  while (!blobs_.empty() && done) {
    const auto put = opened_.blobs.put(blobs_.front());
    if (put) {
      blobs_.erase(blobs_.begin());
    } else {
      done = put.error();
    }
  }
  if (done) done = opened_.store.append(records_);
  if (done) {
    watchers_.on_durable(std::exchange(records_, {}));
    watch_.start(0);
    if (stalled_) note("ledger_writable", {});
    stalled_ = false;
    return true;
  }
  if (!stalled_) note("ledger_not_writable", {{"reason", done.error().detail}}, Level::error);
  stalled_ = true;
  return false;
}

void Server::carry_out(Actions actions) {
  for (const Event& each : actions.notes)
    on_note_(each);
  for (Task& task : actions.tasks)
    workers_->post(std::move(task));
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
  if (stopping_) {
    if (clients_.empty() || time >= stop_at_ms_) loop_.stop();
    return;
  }
  if (!stalled_) pool_.on_tick(time);
  watchers_.retry();
  watch_.start(0);
  schedule();
  write_status();
  if (options_.exit_when_finished && pool_.all_finished() && workers_->idle() && records_.empty() &&
      !stalled_)
    stop("every job is finished");
}

void Server::write_status() {
  constexpr uint64_t kStatusMs = 400;
  const uint64_t time = now();
  if (options_.status_file.empty() || time < status_at_ms_) return;
  status_at_ms_ = time + kStatusMs;
  const std::string text = status_json(pool_, {.time_ms = time,
                                               .connections = clients_.size(),
                                               .tasks_waiting = workers_->waiting(),
                                               .stalled = stalled_});
  if (const Status written = replace_file(options_.status_file, text); !written)
    note("status_file", {{"reason", written.error().detail}}, Level::warning);
}

void Server::stop(const std::string& reason) {
  if (stopping_) return;
  stopping_ = true;
  if (!stalled_) flush();
  status_at_ms_ = 0;
  write_status();
  note("stopping", {{"reason", reason}});
  listener_->stop();
  stop_at_ms_ = now() + 3'000;
  for (auto& [id, client] : clients_) {
    say(client, Bye{reason});
    client.connection->close(reason);
  }
  if (clients_.empty()) loop_.stop();
}

}  // namespace gemmine::pool
