// Who gets which part of a blob next: peers take turns, a part at a time, and what waits to be read
// by them is bounded for each and in all. Knows no disk and no socket; those are its port.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "pool/core/actions.h"

namespace gemmine::pool {

inline constexpr size_t kBlobWaitsMax = 16;  // GET_BLOBs a peer may have unanswered
inline constexpr size_t kBlobReadsMax = 8;   // parts being read from disk, of all peers
inline constexpr size_t kBlobAheadMax = size_t{1} << 20;         // unread bytes of a peer
inline constexpr size_t kBlobAheadInAllMax = size_t{128} << 20;  // of all peers
inline constexpr uint64_t kBlobUnreadMs = 30'000;  // who reads nothing for so long may have to go

// Memory: kBlobAheadInAllMax and kBlobReadsMax parts of at most 1 MiB.
class BlobServer {
 public:
  struct Port {
    std::function<size_t(ConnId)> queued_bytes;
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
  struct Peer {
    std::deque<Wait> waits;
    bool in_line = false;
    bool reading = false;
    size_t unread = 0;  // bytes in the connection's queue when last looked at
    uint64_t unread_since_ms = 0;
  };
  void stand_in_line(ConnId id, Peer& peer);
  void turn();
  void look_at_queue(ConnId id, Peer& peer, uint64_t now_ms);

  const Port port_;
  std::map<ConnId, Peer> peers_;  // who asked for a blob; bounded by the connections
  std::deque<ConnId> line_;       // peers whose next part may be read
  size_t reads_ = 0;
  size_t unread_ = 0;
};

}  // namespace gemmine::pool
