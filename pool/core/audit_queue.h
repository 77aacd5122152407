// Leases that wait to be run again, and whose turn it is. Pure.
//
// Three queues share the audit threads: twelve parts for keys that have proven themselves, three
// for new ones, one for what strangers doubt. Keys are free, and a thousand of them can ask for as
// much as they like: proven miners still get three quarters of the time, and a new honest one waits
// for no stranger's doubts. A queue that nobody waits in leaves all of it to the others, and saves
// nothing up. In each queue a lease that keeps its slot until it was looked at goes first.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

inline constexpr size_t kAuditsPendingMax = 4096;  // over it no lease is granted; without doubts
inline constexpr uint64_t kAuditRetryMs = 5'000;   // after an audit that could not be decided

enum class Standing : uint8_t { proven, fresh };     // of a key
enum class Turn : uint8_t { proven, fresh, doubt };  // of a lease
constexpr Turn turn_of(Standing standing) {
  return standing == Standing::proven ? Turn::proven : Turn::fresh;
}

class AuditQueue {
 public:
  explicit AuditQueue(uint32_t at_once) : at_once_(at_once) {}

  // macs: what it costs. urgent: it holds a slot, and its round, until it was run. A lease that
  // waits or runs already stays as it is, but that it takes the better turn of the two.
  void add(const Digest& lease_id, Turn turn, uint64_t macs, bool urgent = false);
  // The next one to run; none when enough run, or nothing waits.
  std::optional<Digest> take();
  bool running(const Digest& lease_id) const;
  void erase(const Digest& lease_id);  // done, or of no use any more
  // It could not be decided: again from `at_ms` on.
  void put_off(const Digest& lease_id, uint64_t at_ms);
  void wake(uint64_t now_ms);  // those that were put off until now wait again

  bool contains(const Digest& lease_id) const { return all_.contains(lease_id); }
  // Somebody else than a stranger wants it: a coin, a ticket, the pool.
  bool wanted(const Digest& lease_id) const {
    const auto found = all_.find(lease_id);
    return found != all_.end() && found->second.turn != Turn::doubt;
  }
  bool full() const { return all_.size() - doubts_ >= kAuditsPendingMax; }
  size_t size() const { return all_.size(); }

 private:
  enum class Stage : uint8_t { waiting, running, put_off };
  struct Entry {
    Stage stage = Stage::waiting;
    Turn turn = Turn::fresh;
    bool urgent = false;
    uint64_t macs = 0;
    uint64_t at_ms = 0;
  };
  struct Queue {
    std::deque<Digest> urgent;
    std::deque<Digest> waiting;
    double used = 0;  // macs over its part of the time

    bool empty() const { return urgent.empty() && waiting.empty(); }
  };
  static constexpr size_t kQueues = 3;
  Queue& queue_of(Turn turn) { return queues_[static_cast<size_t>(turn)]; }
  void enqueue(const Digest& lease_id, const Entry& entry);
  void leave(const Digest& lease_id, const Entry& entry);  // its queue

  const uint32_t at_once_;
  uint32_t running_ = 0;
  size_t doubts_ = 0;  // of all_
  double served_ = 0;  // what the queue had used that was served last, before
  std::map<Digest, Entry> all_;
  std::array<Queue, kQueues> queues_;
};

}  // namespace gemmine::pool
