// How long byte strings are cut into parts for the wire: groups of 64 KiB, a few of them a message
// (PROTOCOL 5.2: GET_BLOB, BLOB, DELTA). Pure.
#pragma once

#include <cstdint>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/hash/blake3.h"
#include "pool/wire/messages.h"

namespace gemmine::pool {

inline constexpr uint64_t kGroupChunks = kGroupBytes / kernels::kChunkBytes;
inline constexpr uint32_t kPartGroups = 4;  // in the parts that we send and ask for: 256 KiB
static_assert(kPartGroups <= kPartGroupsMax);

// How many groups a string of so many bytes has; the empty one has one.
constexpr uint64_t groups_of(uint64_t bytes) {
  return bytes == 0 ? 1 : (bytes + kGroupBytes - 1) / kGroupBytes;
}

// Groups [first, first + count) of a string of total_bytes.
struct GroupRange {
  uint64_t first = 0;
  uint32_t count = 1;

  // At least one group, all of them in the string.
  bool is_in(uint64_t total_bytes) const;
  // For a range that is in the string:
  uint64_t offset() const { return first * kGroupBytes; }
  uint64_t bytes(uint64_t total_bytes) const;
  kernels::ChunkRange chunks(uint64_t total_bytes) const;
};

// The next part to ask for or to send, when the first `groups` groups of the string are done.
// groups < groups_of(total_bytes).
GroupRange next_part(uint64_t groups, uint64_t total_bytes);

inline GroupRange range_of(const Part& part) {
  return {part.first_group, part.groups};
}

// The part belongs to the string of total_bytes whose content address is root. Hashes the part.
// Errors: malformed (another length or place, too few or many bytes), invalid (another string).
Status check_part(const Part& part, const Digest& root, uint64_t total_bytes);

}  // namespace gemmine::pool
