// Which blocks a challenge asks for: drawn from its seed over the tensors of the job's step
// (PROTOCOL 7.3, 10.11).
#pragma once

#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/records/job.h"

namespace gemmine::verifier {

struct BlockChoice {
  uint32_t step = 0;      // index within the share
  bool delta = false;     // true: `tile_row` is the delta's block, the rest is zero
  uint32_t position = 0;  // of the tensor in Program::tensors()
  uint32_t tile_row = 0;
  uint32_t tile_col = 0;
  uint32_t group = 0;  // number of the scale group within the tile; f32 tensors have none
};

// Whether a tensor is made of state_before, which is committed at a share's start only: its blocks
// are of the share's first step (PROTOCOL 7.3, 10.11).
bool reads_state_before(const kernels::TensorInfo& tensor);
// Rows and columns of a tile (PROTOCOL 7.3, 10.11): 16 × 64, or fewer where so many would need too
// much to be opened; of cf all.
uint32_t tile_height(const kernels::TensorInfo& tensor);
uint32_t tile_width(const kernels::TensorInfo& tensor);
// How many there are.
uint32_t tiles_down(const kernels::TensorInfo& tensor);
uint32_t tiles_across(const kernels::TensorInfo& tensor);
// How many scale groups a row has within a column of tiles. tensor.groups == row_segments, and the
// column of tiles is one of the tensor's.
uint32_t segments_in_tile(const kernels::TensorInfo& tensor, uint32_t tile_col);

// Which scale the drawn group has: an element of the f32 tensor right after this one. An int8
// tensor, a choice of it.
uint32_t scale_number(const kernels::TensorInfo& tensor, const BlockChoice& choice);

// The choice of the first tile that has elements of that scale's group, with that group.
BlockChoice choice_of_scale(const kernels::Program& program, uint32_t step, uint32_t position,
                            uint32_t number);

// Whether a block is one that 7.3 could draw of a share: a stranger's choice, before anything looks
// at it. steps_in_share > 0.
bool choice_ok(const kernels::Program& program, uint32_t steps_in_share, bool last_share,
               const BlockChoice& choice);

// The real groups of a tile (PROTOCOL 7.3, 10.11); 1 of an f32 tensor, which has none.
uint32_t groups_in_tile(const kernels::TensorInfo& tensor, const BlockChoice& choice);
// A tile of a tensor and its group, by the numbers first_number … first_number + 2 of the seed.
BlockChoice draw_tile(const kernels::Program& program, uint32_t position, const Digest& seed,
                      uint32_t first_number);

// The policy.thread_blocks blocks of a challenge. steps_in_share > 0. last_share: of its lease
// (only then a delta is drawn).
std::vector<BlockChoice> choose_blocks(const kernels::Program& program, const AuditPolicy& policy,
                                       const Digest& seed, uint32_t steps_in_share,
                                       bool last_share);

}  // namespace gemmine::verifier
