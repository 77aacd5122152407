// The downloads that a miner keeps: what it needs now, and what it may need again soon.
#pragma once

#include <span>
#include <string>

#include "kernels/base/bytes.h"

namespace gemmine::miner {

// Blobs that nothing needs now stay this long (the data of another pool's job, for when we come
// back to it), and weights of earlier rounds not at all.
inline constexpr int kSpareHours = 24;

// Removes from the folder, whose files are named by their addresses: `outdated` ones, and those
// that are not `needed` and older than kSpareHours.
void prune_blobs(const std::string& folder, std::span<const Digest> needed,
                 std::span<const Digest> outdated);

}  // namespace gemmine::miner
