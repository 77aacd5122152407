// Which blocks a thread's audit asks for besides the fibres: half at the steps where a fibre moved
// most, the rest by strata, and blocks of the norm by size (PROTOCOL 11.7, 11.8).
//
// A thread sees every lie about a fibre in time. What is left to a thief is to forge tensors
// sideways, in one step and another, so the strata are the places where one forged tensor makes
// much of the work that follows it free.
#pragma once

#include <span>
#include <vector>

#include "verifier/audit/choice.h"
#include "verifier/thread/draw.h"

namespace gemmine::verifier {

inline constexpr uint32_t kNormBlocks = 4;  // with a clip; the second half at the least f

enum class BlockPlace : uint8_t {
  drawn,       // at a step of the draw
  star,        // at t* of a fibre: where |g| is largest
  norm,        // a unit of the norm, at a step of the draw
  norm_least,  // the same at the first step with the least f
};

struct ThreadBlock {
  BlockPlace place = BlockPlace::drawn;
  uint32_t step = 0;      // of the lease; drawn and norm only
  uint32_t fibre = 0;     // star
  uint32_t position = 0;  // of the tensor; not of a norm's block

  bool at_drawn_step() const { return place == BlockPlace::drawn || place == BlockPlace::norm; }
};

// `count`: the policy's. steps: H. The norm's blocks come last, and are not in `count`.
std::vector<ThreadBlock> draw_thread_blocks(const kernels::Program& program, const ThreadDraw& draw,
                                            const Digest& seed, uint32_t steps, uint16_t count);
// The policy's count with which every stratum and every star is asked for once: then no theft that
// saves a fifth of a lease is found in less than 40 % of audits (tests/thefts).
uint16_t full_thread_blocks(const kernels::Program& program);

// Of a block that is no norm's: its tile and group, all but the step in its share. `tokens`:
// step_tokens() of the block's step, which a star of E reads.
BlockChoice choose_tile(const kernels::Program& program, const ThreadDraw& draw,
                        const ThreadBlock& block, const Digest& seed, uint32_t number,
                        std::span<const uint32_t> tokens);

// Element by size (PROTOCOL 11.8): the one into which a draw falls where each has a share of the
// sum. Any one, if all are zero. A size that is negative or not finite counts as zero.
uint32_t pick_by_size(std::span<const float> sizes, const Digest& seed, uint32_t number);

}  // namespace gemmine::verifier
