#include "pool/core/audit_queue.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

constexpr std::array<double, 3> kParts = {12, 3, 1};  // by Turn

}  // namespace

void AuditQueue::enqueue(const Digest& lease_id, const Entry& entry) {
  Queue& queue = queue_of(entry.turn);
  if (queue.empty()) queue.used = std::max(queue.used, served_);
  (entry.urgent ? queue.urgent : queue.waiting).push_back(lease_id);
}

void AuditQueue::leave(const Digest& lease_id, const Entry& entry) {
  Queue& queue = queue_of(entry.turn);
  std::erase(entry.urgent ? queue.urgent : queue.waiting, lease_id);
}

void AuditQueue::add(const Digest& lease_id, Turn turn, uint64_t macs, bool urgent) {
  const auto [at, fresh] = all_.try_emplace(lease_id);
  Entry& entry = at->second;
  if (!fresh) {
    const bool waits = entry.stage == Stage::waiting;
    if (turn >= entry.turn && (!urgent || entry.urgent)) return;
    if (waits) leave(lease_id, entry);
    if (entry.turn == Turn::doubt && turn != Turn::doubt) --doubts_;
    entry.turn = std::min(turn, entry.turn);
    entry.urgent |= urgent;
    if (waits) enqueue(lease_id, entry);
    return;
  }
  entry.turn = turn;
  entry.urgent = urgent;
  entry.macs = macs;
  if (turn == Turn::doubt) ++doubts_;
  enqueue(lease_id, entry);
}

std::optional<Digest> AuditQueue::take() {
  if (running_ >= at_once_) return {};
  Queue* next = nullptr;
  for (Queue& queue : queues_) {
    if (queue.empty() || (next != nullptr && next->used <= queue.used)) continue;
    next = &queue;
  }
  if (next == nullptr) return {};
  std::deque<Digest>& line = next->urgent.empty() ? next->waiting : next->urgent;
  const Digest lease_id = line.front();
  line.pop_front();
  Entry& entry = all_.at(lease_id);
  GEMMINE_CHECK(entry.stage == Stage::waiting);
  entry.stage = Stage::running;
  ++running_;
  served_ = next->used;
  next->used += static_cast<double>(entry.macs) / kParts[static_cast<size_t>(entry.turn)];
  return lease_id;
}

bool AuditQueue::running(const Digest& lease_id) const {
  const auto found = all_.find(lease_id);
  return found != all_.end() && found->second.stage == Stage::running;
}

void AuditQueue::erase(const Digest& lease_id) {
  const auto found = all_.find(lease_id);
  if (found == all_.end()) return;
  if (found->second.stage == Stage::running) --running_;
  if (found->second.stage == Stage::waiting) leave(lease_id, found->second);
  if (found->second.turn == Turn::doubt) --doubts_;
  all_.erase(found);
}

void AuditQueue::put_off(const Digest& lease_id, uint64_t at_ms) {
  const auto found = all_.find(lease_id);
  GEMMINE_CHECK(found != all_.end() && found->second.stage == Stage::running);
  --running_;
  found->second.stage = Stage::put_off;
  found->second.at_ms = at_ms;
}

void AuditQueue::wake(uint64_t now_ms) {
  for (auto& [lease_id, entry] : all_) {
    if (entry.stage != Stage::put_off || now_ms < entry.at_ms) continue;
    entry.stage = Stage::waiting;
    enqueue(lease_id, entry);
  }
}

}  // namespace gemmine::pool
