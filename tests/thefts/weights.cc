// Thefts along time: every step is true to its weights, which are cheap ones.
#include <algorithm>

#include "tests/thefts/macs.h"
#include "tests/thefts/thefts.h"

namespace gemmine::thefts {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;

namespace {

constexpr uint32_t kTurn = 2;  // the step from which on weights are not what they should be

// Fills the weights of the parameters that are wanted.
using Wanted = std::function<bool(const ParameterInfo&)>;
void fill(const Program& program, std::span<float> state, float value, const Wanted& wanted) {
  for (const ParameterInfo& parameter : program.parameter_list())
    if (wanted(parameter))
      std::ranges::fill(state.subspan(parameter.offset, parameter.count()), value);
}

// Holds some parameters at a value from step kTurn on.
Theft held(std::string name, std::string how, float value, Wanted wanted) {
  return {.name = std::move(name),
          .how = std::move(how),
          .before =
              [value, wanted = std::move(wanted)](const Program& program, uint32_t step,
                                                  std::span<float> state) {
                if (step >= kTurn) fill(program, state, value, wanted);
              },
          .found_min = kPromised};
}

Wanted linear_part(ParameterKind kind, uint32_t place, uint32_t blocks) {
  return [=](const ParameterInfo& parameter) {
    return parameter.kind == kind && parameter.index % 4 == place && parameter.index < 4 * blocks;
  };
}

std::function<double(const Program&, double)> from_turn(
    std::function<double(const Program&)> saved) {
  return [saved = std::move(saved)](const Program& program, double steps) {
    return saved(program) * (steps - kTurn) / steps;
  };
}

Theft ghost_lease() {
  return {.name = "ghost lease",
          .how = "weights 0 after the first step, the end made up",
          .before =
              [](const Program&, uint32_t step, std::span<float> state) {
                if (step > 0) std::ranges::fill(state, 0.0F);
              },
          .claim = [](std::span<const float> start,
                      std::span<float> state) { std::ranges::copy(start, state.begin()); },
          .saved_macs = [](const Program& program,
                           double steps) { return all_macs(program) * later(steps); },
          .found_min = kPromised};
}

Theft ghost_steps() {
  Theft out = ghost_lease();
  out.name = "ghost steps";
  out.how = "weights 0 in the second half, then the lease's first";
  out.before = [](const Program& program, uint32_t step, std::span<float> state) {
    if (2 * step >= program.spec().steps_per_lease) std::ranges::fill(state, 0.0F);
  };
  out.saved_macs = [](const Program& program, double) { return all_macs(program) / 2; };
  return out;
}

Theft one_transition() {
  return {.name = "one bad transition",
          .how = "to weights 0, then honest work on them",
          .after =
              [](const Program& program, uint32_t step, std::span<const float>,
                 std::span<float> state) {
                if (step + 1 == kTurn) std::ranges::fill(state.first(program.parameters()), 0.0F);
              },
          .saved_macs = from_turn([](const Program& program) { return all_macs(program); }),
          .found_min = kPromised};
}

double dw_macs(const Program& program) {
  const double attention = program.is_gpt() ? 6 * attention_macs(program) : 0;
  return (all_macs(program) - attention) / 3;
}

Theft updates_left_out(std::string name, std::string how, std::function<bool(uint32_t)> updates,
                       double part) {
  return {.name = std::move(name),
          .how = std::move(how),
          .updates = std::move(updates),
          .saved_macs = [part](const Program& program, double) { return part * dw_macs(program); },
          .found_min = kPromised};
}

// Some parameters stay what they were.
Theft left_behind(std::string name, std::string how, Wanted wanted) {
  return {
      .name = std::move(name),
      .how = std::move(how),
      .after = [wanted = std::move(wanted)](const Program& program, uint32_t,
                                            std::span<const float> old, std::span<float> state) {
        for (const ParameterInfo& parameter : program.parameter_list())
          if (wanted(parameter))
            std::ranges::copy(old.subspan(parameter.offset, parameter.count()),
                              state.subspan(parameter.offset).begin());
      }};
}

Theft moments_reset() {
  return {.name = "moments reset",
          .how = "once",
          .before =
              [](const Program& program, uint32_t step, std::span<float> state) {
                if (step == kTurn) std::ranges::fill(state.subspan(program.parameters()), 0.0F);
              },
          .found_min = kPromised};
}

Theft other_rate() {
  return {
      .name = "another learning rate",
      .how = "half of the job's",
      .after =
          [](const Program& program, uint32_t, std::span<const float> old, std::span<float> state) {
            for (uint64_t i = 0; i < program.parameters(); ++i)
              state[i] = 0.5F * (old[i] + state[i]);
          },
      .found_min = kPromised};
}

void add_gpt(const Program& program, std::vector<Theft>& out) {
  const uint32_t blocks = program.spec().gpt.blocks;
  const uint32_t last = program.spec().gpt.last_norm();
  const auto gain = [](auto wanted) {
    return [wanted](const ParameterInfo& parameter) {
      return parameter.kind == ParameterKind::gain && wanted(parameter.index);
    };
  };
  const auto mlp = [](const Program& p) { return 3 * (linear_macs(p, 2) + linear_macs(p, 3)); };
  const auto one = [blocks](auto of_all) {
    return [=](const Program& p) { return of_all(p) / blocks; };
  };
  const auto inputs = [](const Program& p) {
    return 2 * (linear_macs(p, 0) + linear_macs(p, 2)) + 2 * attention_macs(p);
  };
  const auto add = [&out](Theft theft, std::function<double(const Program&)> saved) {
    theft.saved_macs = from_turn(std::move(saved));
    out.push_back(std::move(theft));
  };
  add(held("last gain dead", "held at 0", 0, gain([last](uint32_t i) { return i == last; })),
      [](const Program& p) { return 2.0 / 3 * blocks_macs(p); });
  add(held("gains dead, one block", "held at 0", 0, gain([](uint32_t i) { return i < 2; })),
      one(inputs));
  add(held("gains dead, all blocks", "held at 0", 0, gain([last](uint32_t i) { return i < last; })),
      inputs);
  add(held("bias dead, one block", "b of up -50", -50, linear_part(ParameterKind::bias, 2, 1)),
      one(mlp));
  add(held("bias dead, all blocks", "b of up -50", -50,
           linear_part(ParameterKind::bias, 2, blocks)),
      mlp);
  add(held("weights dead, all blocks", "W of up held at 0", 0,
           linear_part(ParameterKind::weight, 2, blocks)),
      mlp);
  Theft one_matrix = held("weights dead, one block", "W of up held at 0", 0,
                          linear_part(ParameterKind::weight, 2, 1));
  one_matrix.found_min = 0;
  add(std::move(one_matrix), one(mlp));
  Theft no_dw = left_behind("one dW never made", "of down, one block",
                            linear_part(ParameterKind::weight, 3, 1));
  no_dw.saved_macs = [blocks](const Program& p, double) { return linear_macs(p, 3) / blocks; };
  out.push_back(std::move(no_dw));
  Theft no_dp = left_behind("dP left out", "", [](const ParameterInfo& parameter) {
    return parameter.kind == ParameterKind::positions;
  });
  no_dp.found_min = kPromised;
  out.push_back(std::move(no_dp));
}

void add_mlp(const Program& program, std::vector<Theft>& out) {
  const uint32_t last = program.layers() - 1;
  for (uint32_t l = 0; l < last; ++l)
    out.push_back(held("bias dead, layer " + std::to_string(l), "b -50", -50,
                       [l](const ParameterInfo& parameter) {
                         return parameter.kind == ParameterKind::bias && parameter.index == l;
                       }));
  for (uint32_t l = 0; l <= last; ++l)
    out.push_back(held("weights dead, layer " + std::to_string(l), "held at 0", 0,
                       [l](const ParameterInfo& parameter) {
                         return parameter.kind == ParameterKind::weight && parameter.index == l;
                       }));
}

}  // namespace

std::vector<Theft> weight_thefts(const Program& program) {
  std::vector<Theft> out = {
      ghost_lease(),
      ghost_steps(),
      one_transition(),
      updates_left_out(
          "frozen weights", "no update", [](uint32_t) { return false; }, 1),
      updates_left_out(
          "lazy updates", "every other one", [](uint32_t h) { return h % 2 == 0; }, 0.5),
      moments_reset(),
      other_rate()};
  program.is_gpt() ? add_gpt(program, out) : add_mlp(program, out);
  return out;
}

}  // namespace gemmine::thefts
