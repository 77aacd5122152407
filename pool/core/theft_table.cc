// What each theft saves, and how often one answered thread ticket finds it.
//
// Source: the printed table of tests/thefts/thefts_test.cc, a gpt of 12 blocks unless it says
// otherwise. `saved` counts multiply-accumulates of a lease that a thief leaves out.
#include "pool/core/economics.h"

namespace gemmine::pool {

std::span<const Theft> known_thefts() {
  static constexpr Theft kThefts[] = {
      {"a lease of nothing at all", 1.00, 1.00},
      {"a lease of nothing that looks like work", 0.70, 1.00},
      {"backward pass cut off", 0.67, 1.00},
      {"other tokens in later steps", 0.05, 1.00},
      {"a shallow model", 0.72, 0.90},
      {"frozen weights", 0.31, 1.00},
      {"attention window, stale queries and keys", 0.30, 0.82},
      {"one block skipped", 0.08, 0.17},
      {"no gradient at one depth of 12", 0.61, 0.11},
      {"no gradient at one depth of 4", 0.50, 0.31},
      {"one tile of weights in ten not updated", 0.03, 0.10},
      {"unknown: half saved, never seen by a thread", 0.50, 0.00},
  };
  return kThefts;
}

}  // namespace gemmine::pool
