#include "pool/relay/desk.h"

#include "kernels/base/check.h"

namespace gemmine::pool {

Desk::Answer Desk::want(const Digest& address, uint64_t now_ms) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(wanted_, [&](const auto& each) { return each.second.until_ms <= now_ms; });
    const auto found = wanted_.find(address);
    if (found != wanted_.end()) {
      const Answer& known = found->second.answer;
      return known.where == Where::coming && !connected_ ? Answer{Where::no_pool} : known;
    }
    if (!connected_) return {Where::no_pool};
    if (wanted_.size() >= kWantedMax) return {Where::busy};
    wanted_.try_emplace(address);
  }
  on_wanted_(address);
  return {Where::coming};
}

void Desk::connected(bool yes) {
  const std::lock_guard lock(mutex_);
  connected_ = yes;
}

bool Desk::is_connected() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

void Desk::progress(const Digest& address, uint64_t have) {
  const std::lock_guard lock(mutex_);
  const auto found = wanted_.find(address);
  if (found != wanted_.end()) found->second.answer.have = have;
}

void Desk::came(const Digest& address) {
  ++counts.blobs;
  const std::lock_guard lock(mutex_);
  wanted_.erase(address);
}

void Desk::refused(const Digest& address, Where why, uint64_t now_ms) {
  GEMMINE_CHECK(why != Where::coming);
  const std::lock_guard lock(mutex_);
  const auto found = wanted_.find(address);
  if (found != wanted_.end()) found->second = {{why}, now_ms + kRefusalLastsMs};
}

}  // namespace gemmine::pool
