// Thefts across a step: single tensors that are not what their inputs give, while all that follows
// from them is true.
#include <algorithm>
#include <cmath>

#include "tests/thefts/macs.h"
#include "tests/thefts/thefts.h"

namespace gemmine::thefts {

using kernels::Program;
using kernels::TensorKind;

namespace {

// The steps of a lease of ten in which a theft of three tenths is made.
bool seldom(uint32_t step) {
  return step * 3 % 10 < 3;
}

// A tensor is 0 in the steps that `when` names.
Theft zeroed(std::string name, std::string how,
             std::function<bool(const kernels::TensorInfo&)> which,
             std::function<double(const Program&)> saved, bool always = true) {
  return {.name = std::move(name),
          .how = std::move(how),
          .bend =
              [which = std::move(which), always](Draft& draft) {
                if (which(draft.info) && (always || seldom(draft.key.step)))
                  std::ranges::fill(draft.values, 0.0F);
              },
          .saved_macs = [saved = std::move(saved), always](
                            const Program& program,
                            double) { return saved(program) * (always ? 1 : 0.3); }};
}

auto is(TensorKind kind, uint32_t layer) {
  return [=](const kernels::TensorInfo& info) { return info.kind == kind && info.layer == layer; };
}

// Makes an element of CQ of the last parameter so large that f comes out `by` times smaller.
void swell(Draft& draft, float by) {
  float sum = 0;
  for (uint32_t j = 0; j + 1 < draft.program.parameter_list().size(); ++j) {
    const uint32_t units = draft.program.parameter_list()[j].units();
    for (const float square : draft.committed.run(TensorKind::squares, j, {0, units}))
      sum += square;
  }
  for (const float square : draft.values)
    sum += square;
  const float clip = draft.program.spec().clip;
  sum = std::max(sum, clip * clip);
  draft.values[0] += (by * by - 1) * sum;
}

}  // namespace

std::vector<Theft> forged_tensors(const Program& program) {
  const kernels::GptShape& gpt = program.spec().gpt;
  const uint32_t blocks = gpt.blocks;
  const uint32_t head = gpt.head_linear();
  const auto backward = [](const Program& p) { return 2.0 / 3 * blocks_macs(p); };
  const auto forward = [blocks](const Program& p) {
    return 2.0 / 3 * blocks_macs(p) * (1 - 0.5 / blocks);
  };
  const auto below = [blocks](uint32_t i) {
    return [=](const Program& p) { return 2.0 / 3 * blocks_macs(p) * i / blocks; };
  };
  std::vector<Theft> out;
  out.push_back(zeroed("backward cut off, 3 of 10 steps", "the head's G1 is 0",
                       is(TensorKind::g1, head), backward, false));
  out.push_back(zeroed("N of the last norm 0", "", is(TensorKind::d_norm, 2 * blocks), backward));
  out.push_back(zeroed("R_1 is 0", "one row serves all", is(TensorKind::residual, 1), forward));
  out.push_back(zeroed("R_1 is 0, 3 of 10 steps", "", is(TensorKind::residual, 1), forward, false));
  for (uint32_t i = 0; i <= blocks; ++i)
    out.push_back(
        zeroed("D_" + std::to_string(i) + " is 0", "", is(TensorKind::d_residual, i), below(i)));
  out.push_back(zeroed("D_" + std::to_string(blocks) + " is 0, 3 of 10 steps", "",
                       is(TensorKind::d_residual, blocks), below(blocks), false));
  out.push_back(zeroed(
      "no dW in the blocks", "their G2 are 0",
      [head](const kernels::TensorInfo& info) {
        return info.kind == TensorKind::g2 && info.layer < head;
      },
      [](const Program& p) { return (blocks_macs(p) - 6 * attention_macs(p)) / 3; }));
  Theft bias = {.name = "PB forged once", .how = "to kill b of up"};
  bias.bend = [](Draft& draft) {
    if (is(TensorKind::bias_parts, 2)(draft.info) && draft.key.step == 2)
      std::ranges::fill(draft.values, 1e4F);
  };
  out.push_back(std::move(bias));
  Theft scales = {.name = "scales inflated", .how = "sw x 10^6, W is 0, but in the first step"};
  scales.forge = [](const kernels::TensorInfo& info, kernels::StepKey key, Bytes& bytes) {
    if (key.step == 0) return;
    if (info.kind == TensorKind::w) std::ranges::fill(bytes, 0);
    if (info.kind != TensorKind::sw) return;
    for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
      float scale = 0;
      std::memcpy(&scale, &bytes[at], sizeof scale);
      scale *= 1e6F;
      std::memcpy(&bytes[at], &scale, sizeof scale);
    }
  };
  scales.saved_macs = [](const Program& p, double steps) { return all_macs(p) * later(steps); };
  scales.found_min = kPromised;
  out.push_back(std::move(scales));
  return out;
}

// Of an MLP, whose gradients and features are the only ways through.
std::vector<Theft> forged_mlp_tensors(const Program& program) {
  const uint32_t last = program.layers() - 1;
  const auto all = [](const Program& p) { return all_macs(p); };
  const auto two_thirds = [](const Program& p) { return 2 * all_macs(p) / 3; };
  std::vector<Theft> out;
  out.push_back(
      zeroed("backward cut off", "the last G1 is 0", is(TensorKind::g1, last), two_thirds));
  out.push_back(zeroed(
      "hollow step", "X_0 and the last G1 are 0",
      [last](const kernels::TensorInfo& info) {
        return is(TensorKind::x, 0)(info) || is(TensorKind::g1, last)(info);
      },
      all));
  for (Theft& theft : out)
    theft.found_min = kPromised;
  Theft other = {.name = "other data", .how = "of the next row, but in the first step"};
  other.bend = [](Draft& draft) {
    if (!is(TensorKind::x, 0)(draft.info) || draft.key.step == 0) return;
    std::rotate(draft.values.begin(), draft.values.begin() + draft.info.cols, draft.values.end());
  };
  other.found_min = kPromised;
  out.push_back(std::move(other));
  out.push_back(zeroed("X_1 is 0", "one row serves all", is(TensorKind::x, 1), two_thirds));
  return out;
}

// A clip's factor near 0 freezes the weights, and their updates need no gradient then.
std::vector<Theft> clip_thefts(const Program& program) {
  const auto last = static_cast<uint32_t>(program.parameter_list().size()) - 1;
  const auto frozen = [](const Program& p, double) {
    return (all_macs(p) - 6 * attention_macs(p)) / 3;
  };
  const auto theft = [&](std::string how, std::function<void(Draft&)> bend) {
    return Theft{.name = "clip forged",
                 .how = std::move(how),
                 .bend = std::move(bend),
                 .saved_macs = frozen,
                 .found_min = kPromised};
  };
  std::vector<Theft> out;
  out.push_back(theft("f is 10^-30", [](Draft& draft) {
    if (draft.info.kind == TensorKind::clip) draft.values.back() = 1e-30F;
  }));
  out.push_back(theft("by one c_j of 10^36", [](Draft& draft) {
    if (draft.info.kind != TensorKind::clip) return;
    draft.values[5] = 1e36F;
    float sum = 0;
    for (size_t j = 0; j + 1 < draft.values.size(); ++j)
      sum += draft.values[j];
    draft.values.back() = draft.program.spec().clip / std::sqrt(sum);
  }));
  out.push_back(theft("by one square of 10^36", [last](Draft& draft) {
    if (is(TensorKind::squares, last)(draft.info)) draft.values[0] = 1e36F;
  }));
  out.push_back(theft("halved by one square", [last](Draft& draft) {
    if (is(TensorKind::squares, last)(draft.info)) swell(draft, 2);
  }));
  out.push_back(theft("left out: all squares x 10^-6", [](Draft& draft) {
    if (draft.info.kind == TensorKind::squares)
      for (float& square : draft.values)
        square *= 1e-6F;
  }));
  return out;
}

}  // namespace gemmine::thefts
