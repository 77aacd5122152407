#include "pool/core/uploads.h"

namespace gemmine::pool {

Result<Uploads::Upload*> Uploads::begin(const Digest& lease_id, const Digest& root,
                                        uint64_t total_bytes) {
  if (Upload* const known = find(lease_id)) {
    GEMMINE_CHECK(known->root == root && known->total_bytes == total_bytes);
    return known;
  }
  GEMMINE_CHECK(bytes_ <= bytes_max_);
  if (total_bytes > bytes_max_ - bytes_)
    return Error{Errc::busy, "too many deltas are on their way"};
  bytes_ += total_bytes;
  Upload& made = uploads_[lease_id];
  made.root = root;
  made.total_bytes = total_bytes;
  return &made;
}

Uploads::Upload* Uploads::find(const Digest& lease_id) {
  const auto found = uploads_.find(lease_id);
  return found == uploads_.end() ? nullptr : &found->second;
}

void Uploads::forget(const Digest& lease_id) {
  const auto found = uploads_.find(lease_id);
  if (found == uploads_.end()) return;
  GEMMINE_CHECK(found->second.total_bytes <= bytes_);
  bytes_ -= found->second.total_bytes;
  uploads_.erase(found);
}

Status Uploads::wait_for_disk(uint64_t bytes) {
  GEMMINE_CHECK(bytes_waiting_ <= kBytesWaitingMax);
  if (bytes > kBytesWaitingMax - bytes_waiting_)
    return Error{Errc::busy, "the pool's disk is behind"};
  bytes_waiting_ += bytes;
  return Ok{};
}

void Uploads::waited_for_disk(uint64_t bytes) {
  GEMMINE_CHECK(bytes <= bytes_waiting_);
  bytes_waiting_ -= bytes;
}

}  // namespace gemmine::pool
