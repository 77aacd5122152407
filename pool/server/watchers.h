// WATCH: the ledger's records for everyone who follows it, a bounded piece each turn
// (PROTOCOL 5.2).
//
// Records go out only once they are durable, so that nobody sees one that a crash could take back.
// No socket, thread or file is in here; the loop's thread drives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/core/actions.h"
#include "verifier/ledger/signed_record.h"

namespace gemmine::pool {

inline constexpr size_t kWatchRecordsMax = 256;            // to one follower in one turn
inline constexpr size_t kWatchBytesMax = size_t{1} << 20;  // likewise; one record may exceed it
inline constexpr size_t kWatchTurnMax = 8;                 // followers served in one turn
inline constexpr size_t kWatchReadsMax = 8;                // reads of the store under way
inline constexpr size_t kWatchAheadMax = size_t{1} << 20;  // bytes a follower may leave unread
inline constexpr size_t kTailRecordsMax = 1024;            // newest records kept in memory
inline constexpr size_t kTailBytesMax = size_t{4} << 20;

class Watchers {
 public:
  // How followers are reached and older records are read.
  struct Port {
    // Bytes sent to this follower that its socket has not taken yet.
    std::function<size_t(ConnId)> queued_bytes;
    // Payloads of RECORD messages, in order.
    std::function<void(ConnId, std::span<const Bytes>)> send;
    // Asks for at most kWatchRecordsMax records from `first` on; on_read brings them.
    std::function<void(ConnId, uint64_t first)> read;
  };
  // durable: how many records the store has.
  Watchers(Port port, uint64_t durable);

  // Follow from record `first` on; a follower who asks again starts again there.
  void watch(ConnId id, uint64_t first);
  void forget(ConnId id);
  // The next records became durable.
  void on_durable(std::vector<verifier::SignedRecord> records);
  // The answer to Port::read; empty when the store could not be read, which retry() tries again.
  void on_read(ConnId id, uint64_t first, const std::vector<verifier::SignedRecord>& records);
  void retry();

  // Serves kWatchTurnMax followers, each in its turn. True when another turn is due at once; else
  // the next one is after watch(), on_durable(), on_read(), retry() or a drained connection.
  bool turn();

  // Every follower was sent every durable record.
  bool caught_up() const;

 private:
  struct Follower {
    uint64_t next = 0;  // the record it gets next
    bool reading = false;
    bool failed = false;  // its read did: waits for retry()
  };
  void serve(ConnId id, Follower& follower);
  bool wants(ConnId id, const Follower& follower) const;
  void send_tail(ConnId id, Follower& follower);
  void trim_tail();

  const Port port_;
  uint64_t durable_;
  std::deque<verifier::SignedRecord> tail_;  // durable_ - tail_.size() … durable_ - 1
  size_t tail_bytes_ = 0;
  std::map<ConnId, Follower> followers_;  // bounded by the connections
  ConnId last_served_{};
  size_t reads_ = 0;
};

}  // namespace gemmine::pool
