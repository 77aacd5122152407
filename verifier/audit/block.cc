#include "verifier/audit/block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/numbers/rederive.h"
#include "verifier/audit/gpt_values.h"
#include "verifier/audit/mlp_values.h"
#include "verifier/merge/delta.h"

namespace gemmine::verifier {

using kernels::Groups;
using kernels::TensorInfo;
using kernels::TensorKind;

// The elements that share a scale: a segment of a row, or a run of a column.
struct BlockCheck::Group {
  Range rows;
  Range cols;
  float scale = 0;

  uint32_t length() const { return rows.count * cols.count; }
  Range row_of(uint32_t i) const { return rows.count > 1 ? Range{rows.first + i, 1} : rows; }
  Range col_of(uint32_t i) const { return rows.count > 1 ? cols : Range{cols.first + i, 1}; }
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
  return std::string(kernels::tensor_name(tensor.kind)) + "_" + std::to_string(tensor.layer) + "[" +
         std::to_string(row) + "," + std::to_string(col) + "]";
}

// Whether a value is within a scale. There is no scale of -0.
bool fits(float v, float scale) {
  if (std::signbit(scale)) return false;
  return scale == 0.0F ? std::fabs(v) <= kTiny : kernels::scale_floor(v) <= scale;
}

TensorKind scale_kind(const TensorInfo& tensor) {
  return static_cast<TensorKind>(static_cast<uint8_t>(tensor.kind) + 1);
}

}  // namespace

Floats BlockCheck::values(const TensorInfo& tensor, Range rows, Range cols) {
  if (program_.is_gpt()) return GptValues(program_, key_, reader_).values(tensor, rows, cols);
  return MlpValues(program_, key_, reader_).values(tensor, rows, cols);
}

BlockCheck::Group BlockCheck::group_of(const TensorInfo& tensor, uint32_t number) {
  Group group;
  if (tensor.groups == Groups::column_runs) {
    group.cols = {number % tensor.cols, 1};
    group.rows = {number / tensor.cols * tensor.span, tensor.span};
  } else {
    const uint32_t segments = tensor.cols / tensor.span;
    group.rows = {number / segments, 1};
    group.cols = {number % segments * tensor.span, tensor.span};
  }
  group.scale = reader_.run(scale_kind(tensor), tensor.layer, {number, 1})[0];
  return group;
}

Result<uint32_t> BlockCheck::find_witness(const BlockChoice& choice) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  if (!tensor.is_int8()) return uint32_t{0};
  reader_.forget();
  const Group group = group_of(tensor, scale_number(tensor, choice));
  if (group.scale == 0.0F) return uint32_t{0};
  const Floats v = values(tensor, group.rows, group.cols);
  if (reader_.missing()) return Error{Errc::undecided, missing().detail};
  for (uint32_t i = 0; i < group.length(); ++i)
    if (kernels::scale_floor(v[i]) == group.scale) return i;
  return Error{Errc::invalid, "no element attains the scale of " +
                                  place(tensor, group.rows.first, group.cols.first)};
}

Finding BlockCheck::check_witness(const TensorInfo& tensor, const Group& group, uint32_t witness) {
  if (witness >= group.length())
    return {Outcome::malformed, kNoStep, "the witness lies outside its group"};
  if (group.scale == 0.0F) return witness == 0 ? valid() : invalid("a scale of 0 has a witness");
  const Range row = group.row_of(witness);
  const Range col = group.col_of(witness);
  const float v = values(tensor, row, col)[0];
  if (kernels::scale_floor(v) == group.scale) return valid();
  return invalid("the witness " + place(tensor, row.first, col.first) +
                 " does not attain the scale of its group");
}

Finding BlockCheck::derive_elements(const TensorInfo& tensor, Range rows, Range cols, Ints& out) {
  const bool by_column = tensor.groups == Groups::column_runs;
  const uint32_t segment = by_column ? 0 : cols.first / tensor.span;
  const uint32_t segments = by_column ? 0 : segments_in_tile(tensor, cols.first / 64);
  const Floats scales =
      by_column ? reader_.run(scale_kind(tensor), tensor.layer,
                              {rows.first / tensor.span * tensor.cols + cols.first, cols.count})
                : reader_.matrix(scale_kind(tensor), tensor.layer, rows, {segment, segments});
  const Floats v = values(tensor, rows, cols);
  out.assign(size_t{rows.count} * cols.count, 0);
  if (reader_.missing()) return missing();  // what follows reads nothing any more
  const kernels::StochasticKey bits{program_.spec().sr_seed, tensor.tensor_id(),
                                    program_.step_id(key_)};
  for (uint32_t r = 0; r < rows.count; ++r) {
    for (uint32_t c = 0; c < cols.count; ++c) {
      const size_t at = size_t{r} * cols.count + c;
      const float s =
          scales[by_column ? c : r * segments + (cols.first + c) / tensor.span - segment];
      if (!fits(v[at], s))
        return invalid(place(tensor, rows.first + r, cols.first + c) + " exceeds its scale");
      out[at] = static_cast<int8_t>(tensor.is_stochastic()
                                        ? kernels::stochastic_value(v[at], s, bits, rows.first + r,
                                                                    cols.first + c, tensor.cols)
                                        : kernels::nearest_value(v[at], s));
    }
  }
  return valid();
}

Finding BlockCheck::check_scale(uint32_t position, uint32_t number, uint32_t index, bool attains) {
  const TensorInfo& tensor = program_.tensors()[position];
  GEMMINE_CHECK(tensor.is_int8() &&
                number < program_.tensors()[position + 1].bytes() / sizeof(float));
  reader_.forget();
  const Group group = group_of(tensor, number);
  if (index >= group.length())
    return {Outcome::malformed, kNoStep, "the element lies outside its group"};
  const Range row = group.row_of(index);
  const Range col = group.col_of(index);
  const float v = values(tensor, row, col)[0];
  if (reader_.missing()) return missing();
  if (!reader_.objection().empty()) return invalid(reader_.objection());
  const std::string name = place(tensor, row.first, col.first);
  if (!fits(v, group.scale)) return invalid(name + " exceeds its scale");
  const bool found = group.scale == 0.0F ? index == 0 : kernels::scale_floor(v) == group.scale;
  if (attains && !found)
    return invalid("the witness " + name + " does not attain the scale of its group");
  return valid();
}

Finding BlockCheck::check_elements(const BlockChoice& choice, Range rows, Range cols) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  const Ints tile = reader_.ints(choice.position, rows, cols);
  Ints own;
  Finding derived = derive_elements(tensor, rows, cols, own);
  if (derived.outcome != Outcome::valid) return derived;
  for (size_t at = 0; at < own.size(); ++at)
    if (own[at] != tile[at])
      return invalid(place(tensor, rows.first + static_cast<uint32_t>(at / cols.count),
                           cols.first + static_cast<uint32_t>(at % cols.count)) +
                     " is " + std::to_string(tile[at]) + ", its inputs give " +
                     std::to_string(own[at]));
  return valid();
}

Finding BlockCheck::check_floats(const BlockChoice& choice, Range rows, Range cols) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  const Floats claimed = reader_.matrix(tensor.kind, tensor.layer, rows, cols);
  const bool is_padded = tensor.in_panels && cols.end() % 64 != 0;  // then it must be +0
  const Floats padding = is_padded ? reader_.matrix(tensor.kind, tensor.layer, rows,
                                                    {cols.end(), 64 - cols.end() % 64})
                                   : Floats{};
  const Floats own = values(tensor, rows, cols);
  const Finding sum =
      tensor.kind == TensorKind::squares ? check_sum_of_squares(tensor.layer) : valid();
  for (size_t i = 0; i < own.size(); ++i)
    if (std::bit_cast<uint32_t>(own[i]) != std::bit_cast<uint32_t>(claimed[i]))
      return invalid(place(tensor, rows.first + static_cast<uint32_t>(i / cols.count),
                           cols.first + static_cast<uint32_t>(i % cols.count)) +
                     " is not what its inputs give");
  for (const float zero : padding)
    if (std::bit_cast<uint32_t>(zero) != 0)
      return invalid("padding of " + place(tensor, rows.first, cols.first) + " is not +0");
  return sum;
}

Finding BlockCheck::check_sum_of_squares(uint32_t parameter) {
  const uint32_t units = program_.parameter_list()[parameter].units();
  const Floats squares = reader_.run(TensorKind::squares, parameter, {0, units});
  const Floats claimed = reader_.run(TensorKind::clip, 0, {parameter, 1});
  const float own = kernels::longsum(squares.data(), squares.size());
  if (std::bit_cast<uint32_t>(own) == std::bit_cast<uint32_t>(claimed[0])) return valid();
  return invalid("cf[" + std::to_string(parameter) + "] is not the sum of CQ_" +
                 std::to_string(parameter));
}

Finding BlockCheck::check_padding(const TensorInfo& tensor, const BlockChoice& choice) {
  Bytes tile(kChunk, 0);
  const uint64_t chunk = uint64_t{choice.tile_col} * tensor.tile_rows() + choice.tile_row;
  reader_.read({Origin::tensor, static_cast<uint16_t>(choice.position)}, chunk * kChunk, tile);
  for (uint32_t r = 0; r < 16; ++r)
    for (uint32_t c = 0; c < 64; ++c)
      if ((choice.tile_row * 16 + r >= tensor.rows || choice.tile_col * 64 + c >= tensor.cols) &&
          tile[r * 64 + c] != 0)
        return invalid("padding of " +
                       place(tensor, choice.tile_row * 16 + r, choice.tile_col * 64 + c) +
                       " is not zero");
  return valid();
}

Finding BlockCheck::check_biases(uint32_t linear, Range rows) {
  const Floats committed = reader_.run(TensorKind::b, linear, rows);
  const Floats state = reader_.state_before(program_.bias_offset(linear) + rows.first, rows.count);
  for (uint32_t r = 0; r < rows.count; ++r)
    if (std::bit_cast<uint32_t>(committed[r]) != std::bit_cast<uint32_t>(state[r]))
      return invalid("b_" + std::to_string(linear) + "[" + std::to_string(rows.first + r) +
                     "] is not the state's");
  return valid();
}

Finding BlockCheck::check(const BlockChoice& choice, std::optional<uint32_t> witness) {
  const TensorInfo& tensor = program_.tensors()[choice.position];
  GEMMINE_CHECK((tensor.is_int8() || tensor.is_checked_f32()) && !choice.delta);
  reader_.forget();
  const uint32_t height = tile_height(tensor);
  const uint32_t width = tile_width(tensor);
  GEMMINE_CHECK(choice.tile_row < tiles_down(tensor) && choice.tile_col < tiles_across(tensor));
  const Range rows{choice.tile_row * height,
                   std::min(height, tensor.rows - choice.tile_row * height)};
  const Range cols{choice.tile_col * width, std::min(width, tensor.cols - choice.tile_col * width)};
  if (!tensor.is_int8()) {
    if (witness.value_or(0) != 0)
      return {Outcome::malformed, kNoStep, "an f32 tensor has no witness"};
    Finding floats = check_floats(choice, rows, cols);
    if (reader_.missing()) return missing();
    return reader_.objection().empty() ? floats : invalid(reader_.objection());
  }
  // Every part runs to its end, so that prover and auditor touch the same chunks.
  const bool biased = tensor.kind == TensorKind::w && program_.linears()[tensor.layer].has_bias;
  Finding attained =
      witness ? check_witness(tensor, group_of(tensor, scale_number(tensor, choice)), *witness)
              : valid();
  Finding elements = check_elements(choice, rows, cols);
  Finding padding = check_padding(tensor, choice);
  Finding biases = biased ? check_biases(tensor.layer, rows) : valid();
  if (reader_.missing()) return missing();
  if (attained.outcome == Outcome::malformed) return attained;
  if (!reader_.objection().empty()) return invalid(reader_.objection());
  // A wrong element is reported before a wrong witness.
  for (Finding* const finding : {&elements, &padding, &biases, &attained})
    if (finding->outcome != Outcome::valid) return std::move(*finding);
  return valid();
}

Finding BlockCheck::check_delta(const BlockChoice& choice, std::span<const float> theta,
                                int delta_max) {
  GEMMINE_CHECK(theta.size() == program_.parameters());
  const uint64_t first = uint64_t{choice.tile_row} * kDeltaBlock;
  return check_delta_block(
      choice, theta.subspan(first, std::min<uint64_t>(kDeltaBlock, theta.size() - first)),
      delta_max);
}

Finding BlockCheck::check_delta_block(const BlockChoice& choice, std::span<const float> theta,
                                      int delta_max) {
  reader_.forget();
  const uint64_t blocks = (program_.parameters() + kDeltaBlock - 1) / kDeltaBlock;
  const uint64_t first = uint64_t{choice.tile_row} * kDeltaBlock;
  const auto count = static_cast<uint32_t>(theta.size());
  GEMMINE_CHECK(count == std::min<uint64_t>(kDeltaBlock, program_.parameters() - first));
  const Floats after = reader_.floats({Origin::state_after, 0}, first, count);
  Bytes claimed(1 + count, 0);
  const std::span<uint8_t> bytes(claimed);
  reader_.read({Origin::delta, 0}, choice.tile_row, bytes.first(1));
  reader_.read({Origin::delta, 0}, blocks + first, bytes.subspan(1));
  if (reader_.missing()) return missing();
  if (!reader_.objection().empty()) return invalid("state_after is not finite");
  const auto own = make_delta(after, theta, delta_max);
  if (!own) return invalid(own.error().detail);
  if (own.value() == claimed) return valid();
  return invalid("delta block " + std::to_string(choice.tile_row) +
                 " is not what state_after and the global weights give");
}

Finding BlockCheck::derive_tile(const TensorInfo& tensor, uint64_t chunk, Bytes& out) {
  const auto row = static_cast<uint32_t>(chunk % tensor.tile_rows()) * 16;
  const auto col = static_cast<uint32_t>(chunk / tensor.tile_rows()) * 64;
  const Range rows{row, std::min(16U, tensor.rows - row)};
  const Range cols{col, std::min(64U, tensor.cols - col)};
  Ints own;
  Finding derived = derive_elements(tensor, rows, cols, own);
  out.assign(kChunk, 0);
  for (uint32_t r = 0; r < rows.count; ++r)
    std::memcpy(out.data() + size_t{r} * 64, own.data() + size_t{r} * cols.count, cols.count);
  return derived;
}

Finding BlockCheck::derive_floats(const TensorInfo& tensor, uint64_t chunk, Bytes& out) {
  // In panels: rows of 64, each a row of the matrix within a panel.
  const uint64_t all = tensor.bytes() / sizeof(float);
  const uint32_t width = tensor.in_panels ? 64 : tensor.cols;
  const uint64_t first = chunk * kChunk / sizeof(float);
  const uint64_t last = std::min<uint64_t>(first + kChunk / sizeof(float), all);
  Floats own;
  for (uint64_t at = first; at < last;) {
    const auto above = static_cast<uint32_t>(at / width);
    const auto col = static_cast<uint32_t>(at % width);
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(last - at, width - col));
    const uint32_t panel = tensor.in_panels ? above / tensor.rows * 64 : 0;
    const uint32_t row = tensor.in_panels ? above % tensor.rows : above;
    const uint32_t real = std::min(count, tensor.cols - panel - col);
    const Floats piece = tensor.kind == TensorKind::clip
                             ? GptValues(program_, key_, reader_).clip_of_squares(row)
                             : values(tensor, {row, 1}, {panel + col, real});
    own.insert(own.end(), piece.begin(), piece.end());
    own.insert(own.end(), count - real, 0.0F);
    at += count;
  }
  const ByteView bytes = as_bytes(std::span<const float>(own));
  out.assign(bytes.begin(), bytes.end());
  return valid();
}

Finding BlockCheck::derive_chunk(uint32_t position, uint64_t chunk, Bytes& out) {
  const TensorInfo& tensor = program_.tensors()[position];
  GEMMINE_CHECK((tensor.is_int8() || tensor.is_checked_f32()) && chunk * kChunk < tensor.bytes());
  reader_.forget();
  Finding derived =
      tensor.is_int8() ? derive_tile(tensor, chunk, out) : derive_floats(tensor, chunk, out);
  if (reader_.missing()) return missing();
  return reader_.objection().empty() ? derived : invalid(reader_.objection());
}

}  // namespace gemmine::verifier
