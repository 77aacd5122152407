#include "pool/auditor/ending.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace gemmine::pool {

void OwnVerdicts::sent(const Key& key, Bytes bytes, uint32_t frame) {
  GEMMINE_CHECK(!bytes.empty());
  if (waiting_.size() >= kOwnVerdictsMax) waiting_.erase(waiting_.begin());
  waiting_.insert_or_assign(key, Sent{std::move(bytes), frame});
}

void OwnVerdicts::refused(uint32_t frame) {
  if (frame == 0) return;
  for (auto& [key, verdict] : waiting_)
    if (verdict.frame == frame) verdict.refused = true;
}

void OwnVerdicts::send_again(const std::function<uint32_t(const Bytes& verdict)>& send) {
  for (auto& [key, verdict] : waiting_)
    verdict = {std::move(verdict.bytes), 0};
  for (auto& [key, verdict] : waiting_)
    verdict.frame = send(verdict.bytes);
}

size_t OwnVerdicts::awaited() const {
  return static_cast<size_t>(
      std::ranges::count_if(waiting_, [](const auto& entry) { return !entry.second.refused; }));
}

std::optional<std::string> may_end(const EndFacts& facts, uint64_t now_ms) {
  GEMMINE_CHECK(now_ms >= facts.last_change_ms);
  if (facts.connected && facts.downloads > 0 && facts.replaying == 0 &&
      now_ms - facts.last_change_ms >= facts.patience_ms)
    return "the pool sends nothing of what it owes";
  if (!facts.jobs_finished || facts.stay) return {};
  const std::string finished = "every job is finished";
  if (!facts.connected) {
    // What is on this machine already is worked off; what is not may never come.
    const bool needs_pool = facts.downloads > 0;
    if (facts.replays + facts.merges == 0) return finished + ", and the pool has left";
    if (needs_pool && now_ms - facts.down_since_ms >= kGoneWaitMaxMs)
      return "the pool has left before all could be fetched";
    return {};
  }
  if (facts.replays + facts.merges > 0) return {};
  const uint64_t quiet_ms = now_ms - facts.last_change_ms;
  if (facts.verdicts_awaited == 0 && quiet_ms >= kQuietMs) return finished;
  if (quiet_ms >= kEchoWaitMaxMs)
    return finished + "; the pool has not logged " + std::to_string(facts.verdicts_awaited) +
           " of our verdicts";
  return {};
}

}  // namespace gemmine::pool
