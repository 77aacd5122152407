#include "verifier/audit/choice.h"

#include <algorithm>

#include "verifier/merge/delta.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

uint32_t groups_in_tile(const TensorInfo& tensor, const BlockChoice& choice) {
  if (!tensor.is_int8()) return 1;
  if (tensor.groups == kernels::Groups::column_runs)
    return std::min(uint32_t{64}, tensor.cols - choice.tile_col * 64);
  return std::min(uint32_t{16}, tensor.rows - choice.tile_row * 16) *
         segments_in_tile(tensor, choice.tile_col);
}

BlockChoice draw_tile(const kernels::Program& program, uint32_t position, const Digest& seed,
                      uint32_t first_number) {
  const TensorInfo& tensor = program.tensors()[position];
  const auto roll = [&](uint32_t number, uint64_t count) {
    return static_cast<uint32_t>(pick(seed, first_number + number, count));
  };
  BlockChoice out;
  out.position = position;
  out.tile_row = roll(0, tiles_down(tensor));
  out.tile_col = roll(1, tiles_across(tensor));
  out.group = roll(2, groups_in_tile(tensor, out));
  return out;
}

bool reads_state_before(const TensorInfo& tensor) {
  return tensor.kind == TensorKind::w || tensor.kind == TensorKind::gain ||
         tensor.kind == TensorKind::shift ||
         (tensor.kind == TensorKind::residual && tensor.layer == 0);
}

uint32_t tile_width(const TensorInfo& tensor) {
  switch (tensor.kind) {
    case TensorKind::row_max:
    case TensorKind::row_sum:
    case TensorKind::delta_dot:
    case TensorKind::loss_max:
    case TensorKind::loss_sum:
      return 1;
    default:
      return 64;
  }
}

uint32_t tile_height(const TensorInfo& tensor) {
  switch (tensor.kind) {
    case TensorKind::bias_parts:
    case TensorKind::gain_parts:
    case TensorKind::shift_parts:
    case TensorKind::squares:
      return 1;
    case TensorKind::clip:
      return tensor.rows;
    default:
      return 16;
  }
}

uint32_t tiles_down(const TensorInfo& tensor) {
  return (tensor.rows + tile_height(tensor) - 1) / tile_height(tensor);
}

uint32_t tiles_across(const TensorInfo& tensor) {
  return (tensor.cols + tile_width(tensor) - 1) / tile_width(tensor);
}

uint32_t segments_in_tile(const TensorInfo& tensor, uint32_t tile_col) {
  GEMMINE_CHECK(tensor.groups == kernels::Groups::row_segments && tensor.span > 0);
  GEMMINE_CHECK(tile_col < tensor.tile_cols());
  const uint32_t end = std::min(tensor.cols, tile_col * 64 + 64);
  return (end - 1) / tensor.span - tile_col * 64 / tensor.span + 1;
}

uint32_t scale_number(const TensorInfo& tensor, const BlockChoice& choice) {
  if (tensor.groups == kernels::Groups::column_runs)
    return choice.tile_row * 16 / tensor.span * tensor.cols + choice.tile_col * 64 + choice.group;
  const uint32_t in_tile = segments_in_tile(tensor, choice.tile_col);
  const uint32_t row = choice.tile_row * 16 + choice.group / in_tile;
  const uint32_t segment = choice.tile_col * 64 / tensor.span + choice.group % in_tile;
  return row * (tensor.cols / tensor.span) + segment;
}

BlockChoice choice_of_scale(const kernels::Program& program, uint32_t step, uint32_t position,
                            uint32_t number) {
  const TensorInfo& tensor = program.tensors()[position];
  BlockChoice out{.step = step, .position = position};
  if (tensor.groups == kernels::Groups::column_runs) {
    out.tile_row = number / tensor.cols * tensor.span / 16;
    out.tile_col = number % tensor.cols / 64;
    out.group = number % tensor.cols % 64;
  } else {
    const uint32_t segments = tensor.cols / tensor.span;
    const uint32_t row = number / segments;
    const uint32_t segment = number % segments;
    out.tile_row = row / 16;
    out.tile_col = segment * tensor.span / 64;
    out.group = row % 16 * segments_in_tile(tensor, out.tile_col) + segment -
                out.tile_col * 64 / tensor.span;
  }
  return out;
}

bool choice_ok(const kernels::Program& program, uint32_t steps_in_share, bool last_share,
               const BlockChoice& choice) {
  if (choice.delta) {
    const uint64_t blocks = (program.parameters() + kDeltaBlock - 1) / kDeltaBlock;
    return last_share && choice.step == 0 && choice.position == 0 && choice.tile_row < blocks &&
           choice.tile_col == 0 && choice.group == 0;
  }
  if (choice.position >= program.tensors().size() || choice.step >= steps_in_share) return false;
  const TensorInfo& tensor = program.tensors()[choice.position];
  if (!tensor.is_int8() && !tensor.is_checked_f32()) return false;
  if (reads_state_before(tensor) && choice.step != 0) return false;
  return choice.tile_row < tiles_down(tensor) && choice.tile_col < tiles_across(tensor) &&
         choice.group < groups_in_tile(tensor, choice);
}

std::vector<BlockChoice> choose_blocks(const kernels::Program& program, const AuditPolicy& policy,
                                       const Digest& seed, uint32_t steps_in_share,
                                       bool last_share) {
  GEMMINE_CHECK(steps_in_share > 0 && policy.thread_blocks <= kThreadBlocksMax);
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < program.tensors().size(); ++i) {
    const TensorInfo& tensor = program.tensors()[i];
    if (tensor.is_int8() || tensor.is_checked_f32()) positions.push_back(i);
  }
  GEMMINE_CHECK(!positions.empty());  // every program has linears
  const uint64_t checks = positions.size() + (last_share ? 1 : 0);
  const uint64_t delta_blocks = (program.parameters() + kDeltaBlock - 1) / kDeltaBlock;
  std::vector<BlockChoice> out(policy.thread_blocks);
  for (uint32_t j = 0; j < out.size(); ++j) {
    const auto roll = [&](uint32_t number, uint64_t count) {
      return static_cast<uint32_t>(pick(seed, 8 * j + number, count));
    };
    BlockChoice& choice = out[j];
    const uint32_t check = roll(3, checks);
    if (check == positions.size()) {
      choice.delta = true;
      choice.tile_row = roll(4, delta_blocks);
      continue;
    }
    choice = draw_tile(program, positions[check], seed, 8 * j + 4);
    const bool first = reads_state_before(program.tensors()[choice.position]);
    choice.step = first ? 0 : roll(2, steps_in_share);
  }
  return out;
}

}  // namespace gemmine::verifier
