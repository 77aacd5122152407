// Leases that wait to be run again, and whose turn it is. Pure.
//
// Two queues share the audit threads: three parts for keys that have proven themselves, one for new
// ones and for what unlisted auditors say. Keys are free, and a thousand of them can ask for as
// much as they like: proven miners still get three quarters of the time. A queue that nobody waits
// in leaves all of it to the other, and saves nothing up.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

inline constexpr size_t kAuditsPendingMax = 4096;  // over it no lease is granted
inline constexpr uint64_t kAuditRetryMs = 5'000;   // after an audit that could not be decided

enum class Standing : uint8_t { proven, fresh };

class AuditQueue {
 public:
  explicit AuditQueue(uint32_t at_once) : at_once_(at_once) {}

  // macs: what it costs. A lease that waits or runs already stays as it is.
  void add(const Digest& lease_id, Standing standing, uint64_t macs);
  // The next one to run; none when enough run, or nothing waits.
  std::optional<Digest> take();
  bool running(const Digest& lease_id) const;
  void erase(const Digest& lease_id);  // done, or of no use any more
  // It could not be decided: again from `at_ms` on.
  void put_off(const Digest& lease_id, uint64_t at_ms);
  void wake(uint64_t now_ms);  // those that were put off until now wait again

  bool contains(const Digest& lease_id) const { return all_.contains(lease_id); }
  bool full() const { return all_.size() >= kAuditsPendingMax; }
  size_t size() const { return all_.size(); }

 private:
  enum class Stage : uint8_t { waiting, running, put_off };
  struct Entry {
    Stage stage = Stage::waiting;
    Standing standing = Standing::fresh;
    uint64_t macs = 0;
    uint64_t at_ms = 0;
  };
  struct Queue {
    std::deque<Digest> waiting;
    double used = 0;  // macs over its part of the time
  };
  Queue& queue_of(Standing standing) { return queues_[static_cast<size_t>(standing)]; }
  void enqueue(const Digest& lease_id, const Entry& entry);

  const uint32_t at_once_;
  uint32_t running_ = 0;
  std::map<Digest, Entry> all_;
  std::array<Queue, 2> queues_;
};

}  // namespace gemmine::pool
