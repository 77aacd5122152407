// An opened block: the bytes and Merkle paths of one block's inputs and outputs
// (PROTOCOL 6.5, 7.3, 7.4).
#pragma once

#include <functional>
#include <span>

#include "kernels/engine.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "verifier/audit/choice.h"
#include "verifier/audit/replay.h"

namespace gemmine::verifier {

// What the prover has at hand when it answers: the share it ran, and the engine standing right
// after the block's step (so that read_tensor gives that step's tensors). Of the run's roots and
// losses only the step's are looked at; a state that no block reads may be empty.
struct ProverView {
  LeaseView at;
  const ShareRun& run;
  std::span<const float> state_before;
  std::span<const float> state_after;
  ByteView train_records;
  const kernels::ChunkTree* train_tree = nullptr;  // of train_records; built on demand when null
  kernels::Engine& engine;
  // Adversaries in tests switch it off: then the opening is made whether it checks or not.
  bool check_own = true;
};
// Errors: out_of_memory; invalid when the block does not check against its own inputs (a bug or
// faulty hardware: nothing is sent then).
Result<Bytes> make_opening(const ProverView& view, const BlockChoice& choice);

// What an accuser shows of a step (PROTOCOL 12): an opening without a witness, made whether it
// checks or not. view.run may hold what the accused committed to (digests, roots, losses) beside
// objects of our own, so far as these have the same roots.
inline constexpr uint32_t kNoWitness = 0xffffffff;
// The block itself and all it is made of. Errors: undecided (an object is not to be had).
Result<Bytes> make_evidence(const ProverView& view, const BlockChoice& choice);
// Only what chunk `chunk` of tensor `position` is made of, at step `step` of the share. The tensor
// is an audited one. Errors: as above.
Result<Bytes> make_inputs(const ProverView& view, uint32_t step, uint32_t position, uint64_t chunk);
// Only one element of a scale's group, and that scale. As BlockCheck::check_scale().
Result<Bytes> make_scale_evidence(const ProverView& view, uint32_t step, uint32_t position,
                                  uint32_t number, uint32_t index);

// Decides one block from the opened bytes alone. Only a delta block needs view.theta, which may be
// empty for the others.
// valid, invalid (it decodes and is wrong), malformed (does not decode, or holds other chunks).
Finding check_opening(const LeaseView& view, const Share& share, const BlockChoice& choice,
                      ByteView opening);

}  // namespace gemmine::verifier
