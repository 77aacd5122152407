// What each theft saves, and how often one answered thread ticket finds it.
//
// Source: tests/thefts, whose table is in verifier/README.md: those of its rows that save the most
// for being found the least. `saved` counts multiply-accumulates, of the whole lease.
#include "pool/core/economics.h"

namespace gemmine::pool {

std::span<const Theft> known_thefts() {
  static constexpr Theft kThefts[] = {
      {"a lease of nothing at all", 1.00, 1.00},
      {"a hollow step: the first and the last matrix are 0", 0.99, 1.00},
      {"a ghost lease: weights 0 after the first step", 0.90, 1.00},
      {"a shallow model: all blocks but one skipped", 0.73, 1.00},
      {"backward pass cut off at the last block", 0.65, 0.87},
      {"one row of a batch serves all", 0.57, 0.87},
      {"backward pass cut off at the third block of four", 0.49, 0.83},
      {"backward pass cut off at the second block of four", 0.32, 0.64},
      {"frozen weights", 0.31, 1.00},
      {"one block skipped", 0.24, 0.93},
      {"backward pass cut off in three steps of ten", 0.19, 0.41},
      {"one row serves all in three steps of ten", 0.17, 0.45},
      {"one matrix of one block held at 0", 0.09, 0.24},
      {"stale queries and keys", 0.07, 0.61},
      {"the gradient of one matrix of one block never made", 0.02, 0.21},
      {"unknown: half saved, never seen by a thread", 0.50, 0.00},
  };
  return kThefts;
}

}  // namespace gemmine::pool
