#include "pool/server/blob_server.h"

#include <utility>
#include <vector>

#include "pool/wire/parts.h"

namespace gemmine::pool {

BlobServer::Peer& BlobServer::peer_of(ConnId id) {
  const auto [at, fresh] = peers_.try_emplace(id);
  if (fresh) {
    at->second.address = addresses_.try_emplace(port_.address(id)).first;
    ++at->second.address->second.peers;
  }
  return at->second;
}

void BlobServer::ask(ConnId id, uint32_t seq, const GetBlob& get, uint64_t now_ms) {
  Peer& peer = peer_of(id);
  if (peer.waits.size() >= kBlobWaitsMax)
    return port_.refuse(id, {seq, WireError::too_many, 1'000, "too many GET_BLOBs at once"});
  peer.waits.push_back({seq, get});
  look_at_queue(id, peer, now_ms);
  stand_in_line(id, peer);
  turn();
}

// Once, and only when its next part can be sent.
void BlobServer::stand_in_line(ConnId id, Peer& peer) {
  if (peer.place != Place::none || peer.waits.empty() || peer.unread >= kBlobAheadMax) return;
  peer.place = Place::line;
  line_.push_back(id);
}

bool BlobServer::may_have(const Peer& peer) const {
  if (peer.unread == 0 && peer.waits.front().get.groups <= kPartGroups) return true;
  return unread_ < kBlobAheadInAllMax && peer.address->second.unread < kBlobAheadInAllMax - unread_;
}

void BlobServer::turn() {
  while (!line_.empty() && reads_ < kBlobReadsMax) {
    const ConnId id = line_.front();
    line_.pop_front();
    const auto found = peers_.find(id);
    if (found == peers_.end()) continue;  // gone meanwhile
    Peer& peer = found->second;
    GEMMINE_CHECK(peer.place == Place::line && !peer.waits.empty());
    if (!may_have(peer)) {
      peer.place = Place::parked;
      parked_.insert(id);
      continue;
    }
    peer.place = Place::reading;
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
  if (found != peers_.end() && found->second.place == Place::reading) {
    Peer& peer = found->second;
    peer.place = Place::none;
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

void BlobServer::set_unread(Peer& peer, size_t unread) {
  Address& address = peer.address->second;
  GEMMINE_CHECK(unread_ >= address.unread && address.unread >= peer.unread);
  unread_ = unread_ - peer.unread + unread;
  address.unread = address.unread - peer.unread + unread;
  peer.unread = unread;
}

void BlobServer::look_at_queue(ConnId id, Peer& peer, uint64_t now_ms) {
  const size_t before = peer.unread;
  set_unread(peer, port_.queued_bytes(id));
  if (peer.unread != 0 && before != 0) return;
  peer.measured_ms = now_ms;
  peer.measured_bytes = port_.received_bytes(id);
}

void BlobServer::on_drained(ConnId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  set_unread(peer, 0);
  if (parked_.erase(id) != 0) peer.place = Place::none;
  stand_in_line(id, peer);
  turn();
}

void BlobServer::forget(ConnId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  set_unread(peer, 0);
  if (--peer.address->second.peers == 0) addresses_.erase(peer.address);
  parked_.erase(id);
  peers_.erase(found);
  turn();
}

// What a slow line receives in kBlobUnreadMs is measured, not whether it ever has all: it need not.
bool BlobServer::reads_nothing(ConnId id, Peer& peer, uint64_t now_ms) {
  if (peer.unread == 0 || now_ms < peer.measured_ms + kBlobUnreadMs) return false;
  const uint64_t received = port_.received_bytes(id);
  if (received < peer.measured_bytes + kBlobReceivedMin) return true;
  peer.measured_ms = now_ms;
  peer.measured_bytes = received;
  return false;
}

void BlobServer::on_tick(uint64_t now_ms) {
  const bool others_wait = !parked_.empty();
  std::vector<ConnId> idle;
  for (auto& [id, peer] : peers_) {
    look_at_queue(id, peer, now_ms);
    if (reads_nothing(id, peer, now_ms) && others_wait) idle.push_back(id);
    if (peer.place == Place::parked) peer.place = Place::none;
    stand_in_line(id, peer);
  }
  parked_.clear();
  turn();
  for (const ConnId id : idle)
    port_.hang_up(id, "reads nothing of what it asked for, and others wait");
}

}  // namespace gemmine::pool
