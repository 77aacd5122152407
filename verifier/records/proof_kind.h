// What a proof shows (PROTOCOL 12).
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemmine::verifier {

enum class ProofKind : uint8_t {
  block = 1,             // a block of a step is not what its inputs give
  block_by_another = 2,  // the same, by somebody who has the inputs and not the block
  update = 3,            // weights did not move as their gradient says
  merge = 4,             // a round's weights do not follow from its deltas
  theta0 = 5,            // the weights of round 0 do not follow from the job's seed
  equivocation = 6,      // the pool signed two ledgers
  unfair_coin = 7,       // a draw is not the one that was committed to
  false_verdict = 8,     // the pool's verdict, or stop, is not true
  unanswered = 9,        // a challenge has no answer in the ledger, or one that was denied
};

inline constexpr size_t kProofBytesMax = size_t{2} << 20;

}  // namespace gemmine::verifier
