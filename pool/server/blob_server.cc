#include "pool/server/blob_server.h"

#include <utility>
#include <vector>

namespace gemmine::pool {

void BlobServer::ask(ConnId id, uint32_t seq, const GetBlob& get, uint64_t now_ms) {
  Peer& peer = peers_[id];
  if (peer.waits.size() >= kBlobWaitsMax)
    return port_.refuse(id, {seq, WireError::too_many, 1'000, "too many GET_BLOBs at once"});
  peer.waits.push_back({seq, get});
  look_at_queue(id, peer, now_ms);
  stand_in_line(id, peer);
  turn();
}

// Once, and only when its next part can be sent.
void BlobServer::stand_in_line(ConnId id, Peer& peer) {
  if (peer.in_line || peer.reading || peer.waits.empty() || peer.unread >= kBlobAheadMax) return;
  peer.in_line = true;
  line_.push_back(id);
}

void BlobServer::turn() {
  while (!line_.empty() && reads_ < kBlobReadsMax && unread_ < kBlobAheadInAllMax) {
    const ConnId id = line_.front();
    line_.pop_front();
    const auto found = peers_.find(id);
    if (found == peers_.end() || !found->second.in_line) continue;  // gone meanwhile
    Peer& peer = found->second;
    peer.in_line = false;
    peer.reading = true;
    ++reads_;
    const Wait wait = peer.waits.front();
    peer.waits.pop_front();
    port_.read(id, wait.seq, wait.get);
  }
}

void BlobServer::on_read(ConnId id, uint32_t seq, const GetBlob& get, Result<Part> part,
                         uint64_t now_ms) {
  GEMMINE_CHECK(reads_ > 0);
  --reads_;
  const auto found = peers_.find(id);
  if (found != peers_.end() && found->second.reading) {
    Peer& peer = found->second;
    peer.reading = false;
    if (part) {
      port_.send(id, {get.address, std::move(part.value())});
    } else {
      port_.refuse(id, {seq, WireError::unknown_blob, 0, part.error().detail});
    }
    look_at_queue(id, peer, now_ms);
    stand_in_line(id, peer);
  }
  turn();
}

void BlobServer::look_at_queue(ConnId id, Peer& peer, uint64_t now_ms) {
  const size_t before = peer.unread;
  peer.unread = port_.queued_bytes(id);
  unread_ += peer.unread - before;  // wraps round and back
  if (peer.unread == 0 || before == 0) peer.unread_since_ms = now_ms;
}

void BlobServer::on_drained(ConnId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  unread_ -= found->second.unread;
  found->second.unread = 0;
  stand_in_line(id, found->second);
  turn();
}

void BlobServer::forget(ConnId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  unread_ -= found->second.unread;
  peers_.erase(found);
  turn();
}

void BlobServer::on_tick(uint64_t now_ms) {
  if (unread_ < kBlobAheadInAllMax) return;
  std::vector<ConnId> idle;
  for (const auto& [id, peer] : peers_) {
    if (peer.unread > 0 && now_ms >= peer.unread_since_ms + kBlobUnreadMs) idle.push_back(id);
  }
  for (const ConnId id : idle)
    port_.hang_up(id, "reads nothing of what it asked for, and others wait");
}

}  // namespace gemmine::pool
