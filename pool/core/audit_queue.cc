#include "pool/core/audit_queue.h"

#include <algorithm>
#include <vector>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

constexpr std::array<double, 2> kParts = {3, 1};  // by Standing

}  // namespace

void AuditQueue::enqueue(const Digest& lease_id, const Entry& entry) {
  Queue& queue = queue_of(entry.standing);
  Queue& other = queues_[1 - static_cast<size_t>(entry.standing)];
  if (queue.waiting.empty()) queue.used = std::max(queue.used, other.used);
  queue.waiting.push_back(lease_id);
}

void AuditQueue::add(const Digest& lease_id, Standing standing, uint64_t macs) {
  const auto [at, fresh] = all_.try_emplace(lease_id);
  if (!fresh) return;
  at->second.standing = standing;
  at->second.macs = macs;
  enqueue(lease_id, at->second);
}

std::optional<Digest> AuditQueue::take() {
  if (running_ >= at_once_) return {};
  Queue* next = nullptr;
  size_t part = 0;
  for (size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    if (queue.waiting.empty() || (next != nullptr && next->used <= queue.used)) continue;
    next = &queue;
    part = i;
  }
  if (next == nullptr) return {};
  const Digest lease_id = next->waiting.front();
  next->waiting.pop_front();
  Entry& entry = all_.at(lease_id);
  GEMMINE_CHECK(entry.stage == Stage::waiting);
  entry.stage = Stage::running;
  ++running_;
  next->used += static_cast<double>(entry.macs) / kParts[part];
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
  if (found->second.stage == Stage::waiting)
    std::erase(queue_of(found->second.standing).waiting, lease_id);
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
