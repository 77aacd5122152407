#include "pool/client/upstreams.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace gemmine::pool {

Upstreams::Upstreams(size_t count) : pools_(count) {
  GEMMINE_CHECK(count >= 1);
}

std::optional<Upstreams::Try> Upstreams::next(uint64_t now_ms) const {
  std::optional<Try> best;
  for (size_t index = 0; index < pools_.size(); ++index) {
    const Upstream& pool = pools_[index];
    if (pool.given_up) continue;
    const uint64_t wait = pool.not_before_ms > now_ms ? pool.not_before_ms - now_ms : 0;
    if (!best || wait < best->wait_ms) best = Try{index, wait};
  }
  return best;
}

void Upstreams::lost(size_t index, uint64_t lasted_ms, uint64_t hint_ms, uint64_t now_ms,
                     uint64_t random) {
  GEMMINE_CHECK(index < pools_.size());
  Upstream& pool = pools_[index];
  pool.refusals = 0;
  pool.backoff.on_connection_ended(lasted_ms);
  const uint64_t hint = std::min(hint_ms, Backoff::kCeilingMs);
  pool.not_before_ms = now_ms + std::max(pool.backoff.next_ms(random), hint);
}

bool Upstreams::refused(size_t index, uint64_t now_ms) {
  GEMMINE_CHECK(index < pools_.size());
  Upstream& pool = pools_[index];
  const uint64_t pause = kRefusedMs << std::min(pool.refusals, 4U);
  pool.not_before_ms = now_ms + std::min(pause, kRefusedCeilingMs);
  return pool.refusals++ == 0;
}

void Upstreams::give_up(size_t index) {
  GEMMINE_CHECK(index < pools_.size());
  pools_[index].given_up = true;
}

bool Upstreams::knows_key(size_t index, const Digest& key) {
  GEMMINE_CHECK(index < pools_.size());
  std::optional<Digest>& known = pools_[index].key;
  if (!known) known = key;
  return *known == key;
}

}  // namespace gemmine::pool
