// longsum (PROTOCOL 2.8) of many vectors at once, as levels that each are one launch.
#pragma once

#include <vector>

#include "kernels/cuda/launch.h"

namespace gemmine::kernels::cuda {

// The rowsum of every piece is an element of the next level's vectors. The last level has one piece
// a vector, whose rowsum is its longsum: a vector that was done before keeps its sum, since the
// rowsum of one number is that number (for a sum; −0, which none is, would become +0).
// vectors: parts of one array, none empty; at most 2^30 elements each.
std::vector<std::vector<SumPiece>> longsum_levels(std::vector<SumPiece> vectors);

}  // namespace gemmine::kernels::cuda
