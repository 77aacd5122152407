// Which of a client's pools is tried next, and when. Pure: times are the loop's, in ms.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/base/bytes.h"
#include "pool/net/backoff.h"

namespace gemmine::pool {

// Pools in the order of their owner's wish. The first one whose own pause is over is tried; so the
// next one is tried at once when one is lost, and after the loss of that one the first one again.
class Upstreams {
 public:
  // A pool whose certificate is not the one pinned, or whose key changed, is left alone this long,
  // doubled each time up to the ceiling: waiting does not help, only its owner or ours does.
  static constexpr uint64_t kRefusedMs = 300'000;
  static constexpr uint64_t kRefusedCeilingMs = 3'600'000;

  explicit Upstreams(size_t count);  // 1 or more

  struct Try {
    size_t index = 0;
    uint64_t wait_ms = 0;
  };
  // Empty when all were given up.
  std::optional<Try> next(uint64_t now_ms) const;

  // A connection to pool `index` ended after being open for lasted_ms (0: it never was). hint_ms:
  // not before, by the pool's own word. random: uniform over all of uint64_t.
  void lost(size_t index, uint64_t lasted_ms, uint64_t hint_ms, uint64_t now_ms, uint64_t random);
  // It is not who it should be. True when that was not so the last time: worth telling.
  bool refused(size_t index, uint64_t now_ms);
  // It will not have us; never tried again.
  void give_up(size_t index);

  // The pool's key, by which it is known from its first greeting on. False: it is another one now.
  bool knows_key(size_t index, const Digest& key);

 private:
  struct Upstream {
    Backoff backoff;
    uint64_t not_before_ms = 0;
    uint32_t refusals = 0;
    bool given_up = false;
    std::optional<Digest> key;
  };
  std::vector<Upstream> pools_;
};

}  // namespace gemmine::pool
