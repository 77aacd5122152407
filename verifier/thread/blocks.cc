#include "verifier/thread/blocks.h"

namespace gemmine::verifier {

uint32_t step_of(const ThreadBlock& block, const Follower& follower) {
  switch (block.place) {
    case BlockPlace::star:
      return follower.star(block.fibre);
    case BlockPlace::norm_least:
      return follower.least_step();
    case BlockPlace::drawn:
    case BlockPlace::norm:
      break;
  }
  return block.step;
}

Result<BlockChoice> choose_block(const ThreadCase& thread, const ThreadPlan& plan,
                                 const Follower& follower, uint32_t number,
                                 std::span<const uint32_t> tokens, BlockSource& source) {
  const kernels::Program& program = thread.program();
  const ThreadBlock& block = plan.blocks()[number];
  if (block.place == BlockPlace::drawn || block.place == BlockPlace::star)
    return choose_tile(program, plan.draw(), block, thread.seed, number, tokens);
  const Floats& sizes =
      block.place == BlockPlace::norm ? follower.last_squares() : follower.least_squares();
  const uint32_t first = kBlockNumbers + 8 * number;
  const uint32_t parameter = pick_by_size(sizes, thread.seed, first);
  BlockChoice out;
  out.position = program.position(kernels::TensorKind::squares, parameter);
  const uint32_t units = program.tensors()[out.position].rows;
  BlockReader reader(program, source);
  const Floats squares = reader.run(kernels::TensorKind::squares, parameter, {0, units});
  if (reader.missing()) return Error{Errc::malformed, "a block of the norm lacks its sizes"};
  out.tile_row = pick_by_size(squares, thread.seed, first + 1);
  return out;
}

}  // namespace gemmine::verifier
