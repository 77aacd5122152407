#include "verifier/thread/draw.h"

#include <algorithm>

#include "verifier/records/coin.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;

namespace {

// With so few blocks every linear gets a fibre: to hold the weights of one block at zero would save
// a fifth of a lease or more.
constexpr uint32_t kBlocksFollowedWhole = 3;

// What a fibre's draws are for; PROTOCOL 11.3.
enum Number : uint32_t { kBlock, kRow, kColumn, kWitnessStep, kWitnessRow };

class Drawing {
 public:
  Drawing(const Program& program, const Digest& seed, uint32_t steps)
      : program_(program), seed_(seed), steps_(steps) {}

  ThreadDraw out;

  void add_linears() {
    if (!program_.is_gpt()) {
      for (uint32_t layer = 0; layer < program_.layers(); ++layer)
        add_matrix(program_.linears()[layer].weight);
      return;
    }
    const kernels::GptShape& gpt = program_.spec().gpt;
    for (uint32_t place = 0; place < 4; ++place) {
      if (gpt.blocks > kBlocksFollowedWhole) {
        add_matrix(program_.linears()[4 * roll(kBlock, gpt.blocks) + place].weight);
        continue;
      }
      for (uint32_t block = 0; block < gpt.blocks; ++block)
        add_matrix(program_.linears()[4 * block + place].weight);
    }
    add_matrix(program_.linears()[gpt.head_linear()].weight);
  }

  void add_vectors() {
    for (uint32_t j = 0; j < program_.parameter_list().size(); ++j) {
      const ParameterInfo& parameter = program_.parameter_list()[j];
      if (parameter.is_vector()) add(unit_fibre(program_, j, roll(kRow, parameter.units())));
    }
  }

  Status add_pair(uint32_t round, uint32_t slot, const ReadBytes& train) {
    PairDraw pair;
    pair.step = roll(0, steps_);
    pair.row = roll(1, program_.rows());
    const kernels::GptShape& gpt = program_.spec().gpt;
    const uint32_t panel = roll(2, (gpt.width + 63) / 64);
    const auto token = token_of_row(program_, {round, slot, pair.step}, pair.row, train);
    if (!token) return token.error();
    // E and P are the first two parameters (PROTOCOL 10.1).
    pair.tokens = static_cast<uint32_t>(out.fibres.size());
    add_shown(row_fibre(program_, 0, token.value(), panel * 64));
    pair.positions = static_cast<uint32_t>(out.fibres.size());
    add(row_fibre(program_, 1, pair.row % gpt.context, panel * 64));
    out.pair = pair;
    return Ok{};
  }

 private:
  uint32_t roll(uint32_t number, uint64_t count) const {
    const auto fibre = static_cast<uint32_t>(out.fibres.size());
    return static_cast<uint32_t>(pick(seed_, kFibreNumbers + 8 * fibre + number, count));
  }

  // A tile of W, or a row of a tied E.
  void add_matrix(uint32_t parameter) {
    const ParameterInfo& info = program_.parameter_list()[parameter];
    const uint32_t col = roll(kColumn, (info.cols + 63) / 64) * 64;
    if (info.kind == ParameterKind::tokens)
      return add_shown(row_fibre(program_, parameter, roll(kRow, info.rows), col));
    const uint32_t row = roll(kRow, (info.rows + 15) / 16) * 16;
    add_shown(
        {parameter, {row, std::min(16U, info.rows - row)}, {col, std::min(64U, info.cols - col)}});
  }

  // One that a linear may show.
  void add_shown(const Fibre& fibre) {
    const auto index = static_cast<uint32_t>(out.fibres.size());
    if (linear_of(program_, fibre))
      out.scales.push_back(
          {index, roll(kWitnessStep, steps_), roll(kWitnessRow, fibre.rows.count)});
    add(fibre);
  }
  void add(const Fibre& fibre) { out.fibres.push_back(fibre); }

  const Program& program_;
  const Digest& seed_;
  const uint32_t steps_;
};

}  // namespace

Fibre row_fibre(const Program& program, uint32_t parameter, uint32_t row, uint32_t feature) {
  const ParameterInfo& info = program.parameter_list()[parameter];
  GEMMINE_CHECK(!info.is_vector() && row < info.rows && feature < info.cols);
  const uint32_t col = feature / 64 * 64;
  return {parameter, {row, 1}, {col, std::min(64U, info.cols - col)}};
}

Fibre unit_fibre(const Program& program, uint32_t parameter, uint32_t unit) {
  const ParameterInfo& info = program.parameter_list()[parameter];
  GEMMINE_CHECK(unit < info.units());
  if (info.is_vector())
    return {parameter, {64 * unit, std::min(64U, info.rows - 64 * unit)}, {0, 1}};
  const uint32_t row = unit % info.units_down() * 16;
  const uint32_t col = unit / info.units_down() * 64;
  return {parameter, {row, std::min(16U, info.rows - row)}, {col, std::min(64U, info.cols - col)}};
}

Result<ThreadDraw> draw_thread(const Program& program, const Digest& seed, uint32_t round,
                               uint32_t slot, uint32_t steps, const ReadBytes& train) {
  GEMMINE_CHECK(steps > 0);
  Drawing drawing(program, seed, steps);
  drawing.add_linears();
  drawing.add_vectors();
  if (program.is_gpt())
    if (auto added = drawing.add_pair(round, slot, train); !added) return added.error();
  return std::move(drawing.out);
}

}  // namespace gemmine::verifier
