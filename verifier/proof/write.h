// Writes proofs (PROTOCOL 12). Each is made from whole objects that the accuser has; decide_proof()
// reads them back. None is judged here: whoever writes one decides it before he sends it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "verifier/audit/choice.h"
#include "verifier/proof/evidence.h"
#include "verifier/proof/proof.h"
#include "verifier/thread/claim.h"

namespace gemmine::verifier {

// A proof file is its kind and its fields.
Bytes seal_proof(ProofKind kind, ByteView fields);

// The share that is accused, as its miner signed it.
struct AccusedShare {
  const Work& work;
  const Lease& lease;
  const Share& share;
};

// Kind 1. `opening` is make_evidence()'s, or, with a witness that the miner signed, one with that
// witness. `published`: what the lease's round publishes; for a delta's block only.
Bytes write_block(const AccusedShare& at, const BlockChoice& choice, ByteView opening,
                  ByteView published, const SignedAnswer* witness);

// Kind 2: chunk `chunk` of a tensor that the accused committed to, with its chaining value (the
// root where there is one chunk) and siblings, against the make_inputs() of it.
struct ClaimedChunk {
  uint32_t chunk = 0;
  Digest value;
  std::vector<Digest> siblings;
};
Bytes write_block_by_another(const AccusedShare& at, uint32_t step, uint16_t position,
                             const ClaimedChunk& claimed, ByteView inputs);
// Kind 2: an element that exceeds its scale or, where the accused named it as the witness, does not
// attain it. `evidence`: its make_scale_evidence().
Bytes write_scale(const AccusedShare& at, uint32_t step, uint16_t position, uint32_t number,
                  uint32_t element, ByteView evidence, const SignedAnswer* witness);

// Kind 3: an update that a thread found wrong. `published` and `train` are whole: what it reads of
// them is opened. Errors: undecided or malformed (the claim does not check against them).
Result<Bytes> write_update(const AccusedShare& at, const UpdateClaim& claim, ByteView published,
                           ByteView train);

// Kind 4: chunk `chunk` of the weights.
struct MergedDelta {
  const Statement& record;
  ByteView bytes;
};
Bytes write_merge(const Work& work, const Digest& pool_key, uint32_t chunk, const Statement& merge,
                  ByteView before, ByteView after, std::span<const MergedDelta> deltas);

// Kind 5. `lease` is of round 0.
Bytes write_theta0(const Work& work, const Lease& lease, uint32_t chunk, ByteView published);
// Which chunk of weights it is about: the first in which two of what a round publishes differ in a
// bit. Nothing when none does. Both are of the program.
std::optional<uint32_t> differing_chunk(const kernels::Program& program, std::span<const float> one,
                                        std::span<const float> other);

// Kind 6: each a head that the pool signed, or a record with its receipt. A record goes second when
// it follows the other.
struct PoolWord {
  const SignedHead* head = nullptr;
  const Statement* record = nullptr;
};
Bytes write_equivocation(const Digest& pool_key, PoolWord first, PoolWord second);

}  // namespace gemmine::verifier
