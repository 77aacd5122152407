// Who gets which part of a blob next: peers take turns, a part at a time, and what waits to be read
// by them is bounded for each and in all. Knows no disk and no socket; those are its port.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "pool/core/actions.h"

namespace gemmine::pool {

inline constexpr size_t kBlobWaitsMax = 16;  // GET_BLOBs a peer may have unanswered
inline constexpr size_t kBlobReadsMax = 8;   // parts being read from disk, of all peers
inline constexpr size_t kBlobAheadMax = size_t{1} << 20;         // unread bytes of a peer
inline constexpr size_t kBlobAheadInAllMax = size_t{128} << 20;  // of all peers
// Who has kBlobUnreadMs long something unread, and receives fewer bytes than this of it in that
// time, reads nothing and may have to go. A modem of 1990 receives more.
inline constexpr uint64_t kBlobUnreadMs = 30'000;
inline constexpr uint64_t kBlobReceivedMin = uint64_t{32} << 10;

// A peer that has read all it was sent always gets its next part, when that has no more than
// kPartGroups groups (256 KiB, what our programs ask for): nobody else can take that from it. What
// is read ahead of a peer comes out of kBlobAheadInAllMax, of which an address may hold as much as
// it leaves free: one alone half, two a third each.
//
// Memory: kBlobAheadInAllMax, kBlobReadsMax parts of at most 1 MiB, and 256 KiB for each connection
// (64 MiB for the 256 that an address may have, 2.5 GiB for 10,000 from 40 addresses).
class BlobServer {
 public:
  struct Port {
    std::function<size_t(ConnId)> queued_bytes;
    std::function<uint64_t(ConnId)> received_bytes;  // what the peer has of all it was sent
    std::function<std::string(ConnId)> address;      // whom limits count by
    // Reads a part, away from the loop; on_read() follows later, never at once.
    std::function<void(ConnId, uint32_t seq, const GetBlob&)> read;
    std::function<void(ConnId, const BlobPart&)> send;
    std::function<void(ConnId, const ErrorMessage&)> refuse;
    std::function<void(ConnId, const std::string& reason)> hang_up;
  };
  explicit BlobServer(Port port) : port_(std::move(port)) {}

  void ask(ConnId id, uint32_t seq, const GetBlob& get, uint64_t now_ms);
  void on_read(ConnId id, uint32_t seq, const GetBlob& get, Result<Part> part, uint64_t now_ms);
  void on_drained(ConnId id);
  void forget(ConnId id);         // the connection is gone
  void on_tick(uint64_t now_ms);  // peers that read nothing make room for those who do

  size_t unread_bytes() const { return unread_; }
  size_t reads() const { return reads_; }

 private:
  struct Wait {
    uint32_t seq = 0;
    GetBlob get;
  };
  struct Address {
    size_t peers = 0;
    size_t unread = 0;
  };
  using Addresses = std::map<std::string, Address>;
  enum class Place { none, line, parked, reading };
  struct Peer {
    Addresses::iterator address;
    std::deque<Wait> waits;
    Place place = Place::none;
    size_t unread = 0;  // bytes in the connection's queue when last looked at
    // Since when it has something unread, or was last measured; and what it had received then.
    uint64_t measured_ms = 0;
    uint64_t measured_bytes = 0;
  };
  Peer& peer_of(ConnId id);
  void stand_in_line(ConnId id, Peer& peer);
  bool may_have(const Peer& peer) const;
  void turn();
  void set_unread(Peer& peer, size_t unread);
  void look_at_queue(ConnId id, Peer& peer, uint64_t now_ms);
  bool reads_nothing(ConnId id, Peer& peer, uint64_t now_ms);

  const Port port_;
  std::map<ConnId, Peer> peers_;  // who asked for a blob; bounded by the connections
  Addresses addresses_;           // theirs
  std::deque<ConnId> line_;       // peers whose next part may be read
  std::set<ConnId> parked_;       // peers whose turn found no room for them
  size_t reads_ = 0;
  size_t unread_ = 0;
};

}  // namespace gemmine::pool
