// The blocks of a thread, as the fibres that were followed let them be chosen
// (PROTOCOL 11.7, 11.8).
#pragma once

#include "verifier/thread/follow.h"

namespace gemmine::verifier {

// Of the lease. For a block that is at no drawn step, after the last step of the fibres.
uint32_t step_of(const ThreadBlock& block, const Follower& follower);

// The block, all but its step in the share. follower: right after the step of a block at a drawn
// step; for another, whenever it holds (the prover's running t*, the auditor's last).
// A norm's unit is drawn by the sizes in CQ, read from `source`. tokens: of the block's step.
// Errors: malformed (those sizes are not there).
Result<BlockChoice> choose_block(const ThreadCase& thread, const ThreadPlan& plan,
                                 const Follower& follower, uint32_t number,
                                 std::span<const uint32_t> tokens, BlockSource& source);

}  // namespace gemmine::verifier
