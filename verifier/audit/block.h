// Re-derives one tile of a committed tensor, or one block of a delta, from chunks alone, and says
// whether it is what its inputs give (PROTOCOL 7.4, 10.11). Prover and auditor run the same code,
// the prover over its whole objects, the auditor over what was opened.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "verifier/audit/block_reader.h"
#include "verifier/audit/choice.h"
#include "verifier/audit/replay.h"

namespace gemmine::verifier {

class BlockCheck {
 public:
  // key: position of the step in the job. All references outlive the check.
  BlockCheck(const kernels::Program& program, kernels::StepKey key, BlockSource& source)
      : program_(program), key_(key), reader_(program, source) {}

  // The lowest index along the drawn group where the scale is attained; 0 if the scale is 0, and
  // of f32 tensors. Errors: invalid (no element attains it), undecided (a chunk is missing).
  Result<uint32_t> find_witness(const BlockChoice& choice);

  // Of a tensor that is audited (int8, or TensorInfo::is_checked_f32()). valid, invalid, malformed
  // (the witness lies outside its group), or undecided when a chunk is missing. Without a witness,
  // which is a prover's word and in no root, all but that: what is wrong then is so by the
  // committed bytes alone.
  Finding check(const BlockChoice& choice, std::optional<uint32_t> witness);
  // A block of the delta against state_after and θ. choice.delta; theta.size() == parameters();
  // delta_max: the job's (PROTOCOL 6.4).
  Finding check_delta(const BlockChoice& choice, std::span<const float> theta, int delta_max);
  // The same, with the θ of the block's own parameters.
  Finding check_delta_block(const BlockChoice& choice, std::span<const float> theta, int delta_max);
  // Chunk `chunk` of an audited tensor's string, as its inputs and the committed scales give it:
  // valid, and `out` has its bytes; invalid when nothing could stand there (an element exceeds its
  // scale, an input is not finite); undecided when a chunk is missing. The chunk is the tensor's.
  Finding derive_chunk(uint32_t position, uint64_t chunk, Bytes& out);

  // One element of the group of scale `number` of an int8 tensor, its index along the group: that
  // it does not exceed its scale and, where `attains`, that it attains it. valid, invalid,
  // malformed (no index of the group), or undecided when a chunk is missing. The tensor has such a
  // scale.
  Finding check_scale(uint32_t position, uint32_t number, uint32_t index, bool attains);

  // What was found invalid is so because of the training data, not of anything committed.
  bool blames_data() const { return reader_.blames_data(); }

 private:
  struct Group;

  // Before quantising; of an f32 tensor the elements themselves. Row-major.
  Floats values(const kernels::TensorInfo& tensor, Range rows, Range cols);
  Finding check_floats(const BlockChoice& choice, Range rows, Range cols);
  Finding check_elements(const BlockChoice& choice, Range rows, Range cols);
  // What the elements of an int8 tensor within one tile round to, row-major.
  Finding derive_elements(const kernels::TensorInfo& tensor, Range rows, Range cols, Ints& out);
  Finding derive_tile(const kernels::TensorInfo& tensor, uint64_t chunk, Bytes& out);
  Finding derive_floats(const kernels::TensorInfo& tensor, uint64_t chunk, Bytes& out);
  Finding check_padding(const kernels::TensorInfo& tensor, const BlockChoice& choice);
  Finding check_sum_of_squares(uint32_t parameter);  // c_j = longsum(CQ_j); PROTOCOL 10.7
  Finding check_biases(uint32_t linear, Range rows);
  Finding check_witness(const kernels::TensorInfo& tensor, const Group& group, uint32_t witness);
  Group group_of(const kernels::TensorInfo& tensor, uint32_t number);

  const kernels::Program& program_;
  const kernels::StepKey key_;
  BlockReader reader_;
};

}  // namespace gemmine::verifier
