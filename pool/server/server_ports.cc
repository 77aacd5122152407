// What the threads and the watchers of a server ask of it.
#include "pool/server/server.h"

namespace gemmine::pool {

Disk::Peers Server::disk_peers() {
  return {
      .queued_bytes = [this](ConnId id) { return clients_.at(id).connection->queued_bytes(); },
      .received_bytes = [this](ConnId id) { return clients_.at(id).connection->received_bytes(); },
      .address = [this](ConnId id) { return clients_.at(id).connection->peer().limit_key; },
      .send = [this](ConnId id, const BlobPart& part) { say(clients_.at(id), part); },
      .refuse = [this](ConnId id, const ErrorMessage& error) { say(clients_.at(id), error); },
      .hang_up = [this](ConnId id, const std::string& reason) { hang_up(id, reason); }};
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
                const auto ticket = static_cast<uint64_t>(id);
                if (!writer_->read(ticket, first, kWatchRecordsMax, kWatchBytesMax))
                  watchers_.on_read(id, first, {});
              }};
}

Writer::Observer Server::writer_observer() {
  return {.on_durable = [this](auto records) { on_durable(std::move(records)); },
          .on_stalled =
              [this](const std::string& reason) {
                stalled_ = true;
                note(Level::error, "ledger_not_writable", {{"reason", reason}});
              },
          .on_read =
              [this](uint64_t ticket, uint64_t first, const auto& records) {
                watchers_.on_read(ConnId{ticket}, first, records);
                watch_.start(0);
              }};
}

}  // namespace gemmine::pool
