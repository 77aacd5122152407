// When an auditor that ends with the jobs may end: not before it has seen its own verdicts come
// back, and not later than an honest bound. Pure: times are the loop's, in ms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

inline constexpr size_t kOwnVerdictsMax = 4096;     // that wait for their record
inline constexpr uint64_t kQuietMs = 1'000;         // without a record, before we believe the end
inline constexpr uint64_t kEchoWaitMaxMs = 10'000;  // for our verdicts, once all else is done
inline constexpr uint64_t kGoneWaitMaxMs = 10'000;  // for a pool that left, while work needs it

// Our verdicts on their way: sent, and not yet seen in the ledger.
class OwnVerdicts {
 public:
  using Key = std::pair<Digest, uint32_t>;  // lease and index of the share

  // `bytes` are the signed verdict, `frame` the number of the message it went out in; 0 when it did
  // not. One is dropped where there are kOwnVerdictsMax.
  void sent(const Key& key, Bytes bytes, uint32_t frame);
  void logged(const Key& key) { waiting_.erase(key); }
  // An ERROR that names a message; it need not be one of ours.
  void refused(uint32_t frame);
  // On a new connection: `send` returns the frame's number, 0 for none.
  void send_again(const std::function<uint32_t(const Bytes& verdict)>& send);

  size_t unlogged() const { return waiting_.size(); }
  // How many may still come back: those that the pool has not refused.
  size_t awaited() const;

 private:
  struct Sent {
    Bytes bytes;
    uint32_t frame = 0;
    bool refused = false;
  };
  std::map<Key, Sent> waiting_;
};

struct EndFacts {
  bool jobs_finished = false;  // there are jobs, and every one has finished
  size_t replays = 0;          // logged shares of watched leases, not replayed yet
  size_t replaying = 0;        // of those, under way right now
  size_t downloads = 0;        // of those, and of merges: how many still need the pool
  size_t merges = 0;           // not redone yet
  size_t verdicts_awaited = 0;
  bool connected = false;
  bool stay = false;            // to be watched on when the jobs are finished, until stopped
  uint64_t patience_ms = 0;     // for a pool that is there and sends nothing of what it owes
  uint64_t down_since_ms = 0;   // when not connected
  uint64_t last_change_ms = 0;  // the last record, replay or merge
};

// Why the auditor may end now, or give up what it waits for; empty while it may not.
std::optional<std::string> may_end(const EndFacts& facts, uint64_t now_ms);

}  // namespace gemmine::pool
