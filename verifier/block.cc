#include "verifier/block.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/rederive.h"
#include "verifier/delta.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

// One scale group: a row of the matrix, or a column of a G2.
struct BlockCheck::Group {
  bool column = false;
  uint32_t index = 0;   // of the row or column in the matrix
  uint32_t length = 0;  // elements along it
  float scale = 0;

  Range rows() const { return column ? Range{0, length} : Range{index, 1}; }
  Range cols() const { return column ? Range{index, 1} : Range{0, length}; }
};

namespace {

constexpr float kTiny = 0x1p-100F;

Finding valid() {
  return {Outcome::valid, kNoStep, {}};
}

Finding invalid(std::string detail) {
  return {Outcome::invalid, kNoStep, std::move(detail)};
}

Finding missing() {
  return {Outcome::undecided, kNoStep, "a chunk that the block is derived from is not there"};
}

std::string place(const TensorInfo& tensor, uint32_t row, uint32_t col) {
  constexpr const char* kNames[] = {"X", "sx", "W", "sw", "b", "G1", "s1", "G2", "s2"};
  return std::string(kNames[static_cast<size_t>(tensor.kind)]) + "_" +
         std::to_string(tensor.layer) + "[" + std::to_string(row) + "," + std::to_string(col) + "]";
}

bool stochastic(const TensorInfo& tensor) {
  return tensor.kind == TensorKind::g1 || tensor.kind == TensorKind::g2;
}

TensorKind scale_kind(const TensorInfo& tensor) {
  return static_cast<TensorKind>(static_cast<uint8_t>(tensor.kind) + 1);
}

}  // namespace

BlockCheck::Group BlockCheck::drawn_group(const TensorInfo& tensor, const BlockChoice& choice) {
  Group group;
  group.column = tensor.kind == TensorKind::g2;
  group.index =
      group.column ? choice.tile_col * 64 + choice.group : choice.tile_row * 16 + choice.group;
  group.length = group.column ? tensor.rows : tensor.cols;
  group.scale = load_vector(scale_kind(tensor), tensor.layer, {group.index, 1})[0];
  return group;
}

Result<uint32_t> BlockCheck::find_witness(const BlockChoice& choice) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  missing_ = false;
  infinite_ = false;
  const Group group = drawn_group(tensor, choice);
  if (group.scale == 0.0F) return uint32_t{0};
  const Floats v = values(tensor, group.rows(), group.cols());
  if (missing_) return Error{Errc::undecided, missing().detail};
  for (uint32_t i = 0; i < group.length; ++i)
    if (kernels::scale_floor(v[i]) == group.scale) return i;
  return Error{Errc::invalid, "no element attains the scale of " +
                                  place(tensor, group.rows().first, group.cols().first)};
}

Finding BlockCheck::check_witness(const TensorInfo& tensor, const Group& group, uint32_t witness) {
  if (witness >= group.length || (group.scale == 0.0F && witness != 0))
    return {Outcome::malformed, kNoStep, "the witness lies outside its group"};
  if (group.scale == 0.0F) return valid();
  const Range rows = group.column ? Range{witness, 1} : Range{group.index, 1};
  const Range cols = group.column ? Range{group.index, 1} : Range{witness, 1};
  const float v = values(tensor, rows, cols)[0];
  if (kernels::scale_floor(v) == group.scale) return valid();
  return invalid("the witness " + place(tensor, rows.first, cols.first) +
                 " does not attain the scale of its group");
}

Finding BlockCheck::check_elements(const TensorInfo& tensor, Range rows, Range cols,
                                   const Ints& tile, const Floats& scales) {
  const Floats v = values(tensor, rows, cols);
  if (missing_) return missing();  // what follows reads nothing any more
  const kernels::StochasticKey bits{program_.spec().sr_seed, tensor.tensor_id(),
                                    program_.step_id(key_)};
  for (uint32_t r = 0; r < rows.count; ++r) {
    for (uint32_t c = 0; c < cols.count; ++c) {
      const size_t at = size_t{r} * cols.count + c;
      const float s = scales[tensor.kind == TensorKind::g2 ? c : r];
      const bool fits = s == 0.0F ? std::fabs(v[at]) <= kTiny : kernels::scale_floor(v[at]) <= s;
      if (!fits)
        return invalid(place(tensor, rows.first + r, cols.first + c) + " exceeds its scale");
      const int32_t q = stochastic(tensor)
                            ? kernels::stochastic_value(v[at], s, bits, rows.first + r,
                                                        cols.first + c, tensor.cols)
                            : kernels::nearest_value(v[at], s);
      if (q != tile[at]) {
        return invalid(place(tensor, rows.first + r, cols.first + c) + " is " +
                       std::to_string(tile[at]) + ", its inputs give " + std::to_string(q));
      }
    }
  }
  return valid();
}

Finding BlockCheck::check_padding(const TensorInfo& tensor, const BlockChoice& choice) {
  Bytes tile(kChunk, 0);
  const uint64_t chunk = uint64_t{choice.tile_col} * tensor.tile_rows() + choice.tile_row;
  load({Origin::tensor, static_cast<uint16_t>(choice.position)}, chunk * kChunk, tile);
  for (uint32_t r = 0; r < 16; ++r)
    for (uint32_t c = 0; c < 64; ++c)
      if ((choice.tile_row * 16 + r >= tensor.rows || choice.tile_col * 64 + c >= tensor.cols) &&
          tile[r * 64 + c] != 0)
        return invalid("padding of " +
                       place(tensor, choice.tile_row * 16 + r, choice.tile_col * 64 + c) +
                       " is not zero");
  return valid();
}

Finding BlockCheck::check_biases(uint32_t layer, Range rows) {
  const Floats committed = load_vector(TensorKind::b, layer, rows);
  const Floats state =
      load_floats({Origin::state_before, 0}, program_.bias_offset(layer) + rows.first, rows.count);
  for (uint32_t r = 0; r < rows.count; ++r)
    if (std::bit_cast<uint32_t>(committed[r]) != std::bit_cast<uint32_t>(state[r]))
      return invalid("b_" + std::to_string(layer) + "[" + std::to_string(rows.first + r) +
                     "] is not the state's");
  return valid();
}

Finding BlockCheck::check(const BlockChoice& choice, uint32_t witness) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  GEMMINE_CHECK(tensor.is_int8() && !choice.delta);
  missing_ = false;
  infinite_ = false;
  const Range rows{choice.tile_row * 16, std::min(16U, tensor.rows - choice.tile_row * 16)};
  const Range cols{choice.tile_col * 64, std::min(64U, tensor.cols - choice.tile_col * 64)};
  const Ints tile = load_tiles(choice.position, rows, cols);
  const Floats scales =
      load_vector(scale_kind(tensor), tensor.layer, tensor.kind == TensorKind::g2 ? cols : rows);
  const Group group = drawn_group(tensor, choice);

  // Every part runs to its end, so that prover and auditor touch the same chunks.
  Finding findings[] = {
      check_elements(tensor, rows, cols, tile, scales),
      check_witness(tensor, group, witness),
      check_padding(tensor, choice),
      tensor.kind == TensorKind::w ? check_biases(tensor.layer, rows) : valid(),
  };
  if (missing_) return missing();
  if (findings[1].outcome == Outcome::malformed) return std::move(findings[1]);
  if (infinite_) return invalid("a value that the block is derived from is not finite");
  for (Finding& finding : findings)
    if (finding.outcome != Outcome::valid) return std::move(finding);
  return valid();
}

Finding BlockCheck::check_delta(const BlockChoice& choice, std::span<const float> theta) {
  missing_ = false;
  infinite_ = false;
  const uint64_t parameters = program_.parameters();
  GEMMINE_CHECK(theta.size() == parameters);
  const uint64_t blocks = (parameters + kDeltaBlock - 1) / kDeltaBlock;
  const uint64_t first = uint64_t{choice.tile_row} * kDeltaBlock;
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(kDeltaBlock, parameters - first));
  const Floats after = load_floats({Origin::state_after, 0}, first, count);
  Bytes claimed(1 + count, 0);
  const std::span<uint8_t> bytes(claimed);
  load({Origin::delta, 0}, choice.tile_row, bytes.first(1));
  load({Origin::delta, 0}, blocks + first, bytes.subspan(1));
  if (missing_) return missing();
  if (infinite_) return invalid("state_after is not finite");
  const auto own = make_delta(after, theta.subspan(first, count));
  if (!own) return invalid(own.error().detail);
  if (own.value() == claimed) return valid();
  return invalid("delta block " + std::to_string(choice.tile_row) +
                 " is not what state_after and the global weights give");
}

}  // namespace gemmine::verifier
