#include "verifier/thread/strata.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "verifier/records/coin.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;
using kernels::TensorKind;

namespace {

// Numbers of a block's draws; PROTOCOL 11.3.
enum Number : uint32_t { kTensor, kTileRow, kTileColumn, kGroup, kStep, kTokenRow };

uint64_t draw_of(const Digest& seed, uint32_t block, uint32_t number, uint64_t count) {
  return pick(seed, kBlockNumbers + 8 * block + number, count);
}

// A place in the round: one of these tensors, by weight.
struct Stratum {
  std::vector<uint32_t> positions;
  std::vector<uint64_t> weights;

  void add(uint32_t position, uint64_t weight) {
    positions.push_back(position);
    weights.push_back(weight);
  }
  uint32_t draw(const Digest& seed, uint32_t block) const {
    uint64_t at =
        draw_of(seed, block, kTensor, std::accumulate(weights.begin(), weights.end(), uint64_t{0}));
    size_t i = 0;
    while (at >= weights[i])
      at -= weights[i++];
    return positions[i];
  }
};

class Round {
 public:
  explicit Round(const Program& program) : program_(program) {
    program.is_gpt() ? lay_gpt() : lay_mlp();
  }
  std::vector<Stratum> strata;

 private:
  void one(TensorKind kind, uint32_t layer) { add({{kind, layer}}); }
  void add(std::initializer_list<std::pair<TensorKind, uint32_t>> tensors) {
    Stratum stratum;
    for (const auto& [kind, layer] : tensors)
      stratum.add(program_.position(kind, layer), 1);
    strata.push_back(std::move(stratum));
  }
  // The same stratum so often that a tensor of weight w out of a sum of s, forged in 3 of 10 steps,
  // is met with about 1 − exp(−0.3 · times · w / s).
  void repeat(const Stratum& stratum, uint32_t times) {
    strata.insert(strata.end(), times, stratum);
  }

  Stratum each(std::initializer_list<TensorKind> kinds, uint32_t count, uint32_t step = 1,
               uint32_t first = 0) const {
    Stratum out;
    for (const TensorKind kind : kinds)
      for (uint32_t i = first; i < count; i += step)
        out.add(program_.position(kind, i), 1);
    return out;
  }

  void lay_gpt();
  void lay_mlp();
  void spread(std::vector<std::pair<Stratum, uint32_t>> often);

  const Program& program_;
};

// Takes turns, so that a smaller count of blocks still has some of each.
void Round::spread(std::vector<std::pair<Stratum, uint32_t>> often) {
  for (bool any = true; any;) {
    any = false;
    for (auto& [stratum, left] : often) {
      if (left == 0) continue;
      strata.push_back(stratum);
      any = --left > 0 || any;
    }
  }
}

// A residual stream forged at R_s frees what is above it in the forward pass, and the dW of that;
// one forged at D_i frees the backward pass below it.
void Round::lay_gpt() {
  const kernels::GptShape& gpt = program_.spec().gpt;
  const uint32_t blocks = gpt.blocks;
  const uint32_t head = gpt.head_linear();
  Stratum residuals;
  for (uint32_t s = 1; s <= 2 * blocks; ++s)
    residuals.add(program_.position(TensorKind::residual, s), 2 * blocks + 1 - s);
  Stratum gradients;
  for (uint32_t i = 0; i <= blocks; ++i)
    gradients.add(program_.position(TensorKind::d_residual, i), i + 1);
  Stratum inputs;  // what a skipped block has wrong
  Stratum back;
  for (uint32_t i = 0; i < blocks; ++i) {
    for (const uint32_t place : {0U, 2U})
      inputs.add(program_.position(TensorKind::x, 4 * i + place), 1);
    for (const uint32_t place : {1U, 3U})
      back.add(program_.position(TensorKind::g1, 4 * i + place), 1);
  }
  one(TensorKind::g1, head);
  one(TensorKind::d_norm, gpt.last_norm());
  spread({{residuals, 2 * blocks},
          {gradients, blocks + 1},
          {inputs, std::min(blocks, 3U) + 1},
          {back, std::min(blocks, 3U) + 1},
          {each({TensorKind::g2}, head + 1), 2},
          {each({TensorKind::row_max, TensorKind::row_sum, TensorKind::delta_dot}, blocks), 1},
          {each({TensorKind::ho, TensorKind::go}, blocks), 1},
          {each({TensorKind::x}, head, 4, 1), 1},  // of o: attention's output
          {each({TensorKind::q, TensorKind::k, TensorKind::v}, blocks), 1},
          {each({TensorKind::g1}, head, 4, 0), 1},  // of qkv: attention's gradient
          {each({TensorKind::d_norm}, gpt.last_norm() + 1), 1},
          {each({TensorKind::bias_parts}, head), 1},
          {each({TensorKind::loss_max, TensorKind::loss_sum}, 1), 1},
          {each({TensorKind::x}, head + 1), 1},
          {each({TensorKind::gain_parts}, gpt.last_norm() + 1), 1}});
  one(TensorKind::g1, head);
  one(TensorKind::d_norm, gpt.last_norm());
}

// X_l forged frees the layers from l on, G1_l those below l.
void Round::lay_mlp() {
  const uint32_t layers = program_.layers();
  const auto work = [&](uint32_t layer) {
    return uint64_t{program_.inputs(layer)} * program_.outputs(layer);
  };
  Stratum inputs;
  Stratum back;
  uint64_t above = 0;
  for (uint32_t l = layers; l-- > 1;)
    inputs.add(program_.position(TensorKind::x, l), above += work(l));
  uint64_t below = 0;
  for (uint32_t l = 1; l < layers; ++l)
    back.add(program_.position(TensorKind::g1, l), below += work(l - 1));
  const uint32_t often = layers > 1 ? layers + 1 : 0;
  one(TensorKind::x, 0);
  one(layers > 1 ? TensorKind::g1 : TensorKind::g2, layers - 1);
  spread({{inputs, often},
          {back, often},
          {each({TensorKind::g2}, layers), 2},
          {each({TensorKind::bias_parts}, layers), 1}});
  one(TensorKind::x, 0);
  one(TensorKind::g2, layers - 1);
}

// The tensors that a fibre's gradient is made of, by which a forged gradient is found at t*.
std::vector<uint32_t> gradient_tensors(const Program& program, const Fibre& fibre) {
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  switch (parameter.kind) {
    case ParameterKind::bias:
      return {program.position(TensorKind::bias_parts, parameter.index)};
    case ParameterKind::gain:
      return {program.position(TensorKind::gain_parts, parameter.index)};
    case ParameterKind::shift:
      return {program.position(TensorKind::shift_parts, parameter.index)};
    case ParameterKind::positions:
      return {program.position(TensorKind::d_residual, 0)};
    case ParameterKind::weight:
    case ParameterKind::tokens:
      break;
  }
  std::vector<uint32_t> out;
  if (const auto linear = linear_of(program, fibre))
    out = {program.position(TensorKind::g2, *linear), program.position(TensorKind::x, *linear)};
  if (parameter.kind == ParameterKind::tokens)
    out.push_back(program.position(TensorKind::d_residual, 0));
  return out;
}

// With AdamW one forged gradient moves a vector by lr·U at most, so a few of them are looked at; in
// other jobs every one.
constexpr size_t kVectorStars = 8;

std::vector<ThreadBlock> stars(const Program& program, const ThreadDraw& draw, const Digest& seed) {
  std::vector<ThreadBlock> out;
  std::vector<ThreadBlock> of_vectors;
  for (uint32_t f = 0; f < draw.fibres.size(); ++f) {
    const bool vector = program.parameter_list()[draw.fibres[f].parameter].is_vector();
    for (const uint32_t position : gradient_tensors(program, draw.fibres[f]))
      (vector ? of_vectors : out).push_back({BlockPlace::star, 0, f, position});
  }
  const bool few = program.spec().optimiser == kernels::Optimiser::adamw;
  // From a drawn one on, round and round.
  const size_t first = of_vectors.empty() ? 0 : pick(seed, kBlockNumbers - 1, of_vectors.size());
  std::rotate(of_vectors.begin(), of_vectors.begin() + static_cast<ptrdiff_t>(first),
              of_vectors.end());
  if (few && of_vectors.size() > kVectorStars) of_vectors.resize(kVectorStars);
  out.insert(out.end(), of_vectors.begin(), of_vectors.end());
  return out;
}

}  // namespace

std::vector<ThreadBlock> draw_thread_blocks(const Program& program, const ThreadDraw& draw,
                                            const Digest& seed, uint32_t steps, uint16_t count) {
  GEMMINE_CHECK(count <= kThreadBlocksMax && steps > 0);
  const Round round(program);
  const std::vector<ThreadBlock> at_stars = stars(program, draw, seed);
  std::vector<ThreadBlock> out;
  size_t star = 0;
  size_t turn = 0;
  for (uint32_t j = 0; j < count; ++j) {
    if (j % 2 == 1 && star < at_stars.size()) {
      out.push_back(at_stars[star++]);
      continue;
    }
    const auto step = static_cast<uint32_t>(draw_of(seed, j, kStep, steps));
    const Stratum& stratum = round.strata[turn++ % round.strata.size()];
    out.push_back({BlockPlace::drawn, step, 0, stratum.draw(seed, j)});
  }
  if (!(program.spec().clip > 0)) return out;
  for (uint32_t n = 0; n < kNormBlocks; ++n) {
    const auto step =
        static_cast<uint32_t>(draw_of(seed, static_cast<uint32_t>(out.size()), kStep, steps));
    if (n < kNormBlocks / 2) {
      out.push_back({BlockPlace::norm, step, 0, 0});
    } else {
      out.push_back({BlockPlace::norm_least, 0, 0, 0});
    }
  }
  return out;
}

uint16_t full_thread_blocks(const Program& program) {
  size_t at_stars = 0;
  size_t vectors = 0;
  for (const ParameterInfo& parameter : program.parameter_list())
    vectors += parameter.is_vector() ? 1 : 0;
  const bool few = program.spec().optimiser == kernels::Optimiser::adamw;
  at_stars += few ? std::min(vectors, kVectorStars) : vectors;
  const uint32_t blocks = program.is_gpt() ? program.spec().gpt.blocks : 0;
  const size_t linears = program.is_gpt() ? (blocks > 3 ? 5 : 4 * blocks + 1) : program.layers();
  at_stars += 2 * linears + (program.is_gpt() ? 3 : 0);
  const size_t round = Round(program).strata.size();
  return static_cast<uint16_t>(std::min<size_t>(
      2 * std::min(round, at_stars) + (std::max(round, at_stars) - std::min(round, at_stars)),
      kThreadBlocksMax));
}

BlockChoice choose_tile(const Program& program, const ThreadDraw& draw, const ThreadBlock& block,
                        const Digest& seed, uint32_t number, std::span<const uint32_t> tokens) {
  GEMMINE_CHECK(block.place == BlockPlace::drawn || block.place == BlockPlace::star);
  BlockChoice out = draw_tile(program, block.position, seed, kBlockNumbers + 8 * number + kTileRow);
  if (block.place == BlockPlace::drawn) return out;
  const Fibre& fibre = draw.fibres[block.fibre];
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  const kernels::TensorInfo& tensor = program.tensors()[block.position];
  const bool by_row = tensor.kind == TensorKind::g2 || parameter.is_vector();
  out.tile_col = (by_row ? fibre.rows.first : fibre.cols.first) / 64;
  if (tensor.kind == TensorKind::d_residual) {
    std::vector<uint32_t> rows;
    for (uint32_t t = 0; t < program.rows(); ++t) {
      const uint32_t row =
          parameter.kind == ParameterKind::tokens ? tokens[t] : t % program.spec().gpt.context;
      if (row == fibre.rows.first) rows.push_back(t);
    }
    if (!rows.empty()) out.tile_row = rows[draw_of(seed, number, kTokenRow, rows.size())] / 16;
  }
  out.group = static_cast<uint32_t>(
      draw_of(seed, number, kGroup, groups_in_tile(program.tensors()[out.position], out)));
  return out;
}

uint32_t pick_by_size(std::span<const float> sizes, const Digest& seed, uint32_t number) {
  GEMMINE_CHECK(!sizes.empty());
  float most = 0;
  for (const float size : sizes)
    if (std::isfinite(size)) most = std::max(most, size);
  if (!(most > 0)) return static_cast<uint32_t>(pick(seed, number, sizes.size()));
  // ⌊x · 2^(30 − E)⌋ with 2^E ≤ most < 2^(E + 1): exact in f64.
  const int exponent = std::ilogb(most);
  const auto weight = [exponent](float size) {
    const bool counts = std::isfinite(size) && size > 0;
    return counts ? static_cast<uint64_t>(std::ldexp(double{size}, 30 - exponent)) : 0;
  };
  uint64_t sum = 0;
  for (const float size : sizes)
    sum += weight(size);
  uint64_t at = pick(seed, number, sum);
  uint32_t i = 0;
  while (at >= weight(sizes[i]))
    at -= weight(sizes[i++]);
  return i;
}

}  // namespace gemmine::verifier
