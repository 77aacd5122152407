#include "pool/wire/parts.h"

#include <algorithm>

#include "kernels/hash/opening.h"

namespace gemmine::pool {

bool GroupRange::is_in(uint64_t total_bytes) const {
  const uint64_t groups = groups_of(total_bytes);
  return count >= 1 && first < groups && count <= groups - first;
}

uint64_t GroupRange::bytes(uint64_t total_bytes) const {
  GEMMINE_CHECK(is_in(total_bytes));
  return std::min(total_bytes, (first + count) * kGroupBytes) - offset();
}

kernels::ChunkRange GroupRange::chunks(uint64_t total_bytes) const {
  GEMMINE_CHECK(is_in(total_bytes));
  const uint64_t all =
      std::max<uint64_t>(1, (total_bytes + kernels::kChunkBytes - 1) / kernels::kChunkBytes);
  return {first * kGroupChunks, std::min(all, (first + count) * kGroupChunks)};
}

GroupRange next_part(uint64_t groups, uint64_t total_bytes) {
  const uint64_t all = groups_of(total_bytes);
  GEMMINE_CHECK(groups < all);
  return {groups, static_cast<uint32_t>(std::min<uint64_t>(kPartGroups, all - groups))};
}

Status check_part(const Part& part, const Digest& root, uint64_t total_bytes) {
  if (part.total_bytes != total_bytes)
    return Error{Errc::malformed, "a part of " + std::to_string(part.total_bytes) +
                                      " bytes; the whole has " + std::to_string(total_bytes)};
  const GroupRange range = range_of(part);
  if (!range.is_in(total_bytes))
    return Error{Errc::malformed, "a part of groups that are not in the whole"};
  const kernels::ChunkRange chunks = range.chunks(total_bytes);
  return kernels::verify_chunks(root, kernels::Blake3Mode::plain(), total_bytes,
                                std::span(&chunks, 1), part.bytes, part.siblings);
}

}  // namespace gemmine::pool
