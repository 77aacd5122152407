#include <cmath>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::kernels {
namespace {

using testing::toy_gpt;
using testing::toy_gpt_tied;
using testing::toy_tokens;

struct Steps {
  std::vector<StepResult> results;
  std::vector<float> state;
};

Steps run(const char* name, const Spec& spec, uint32_t steps, int threads = 1) {
  const Program program = Program::make(spec).value();
  const Bytes tokens = toy_tokens(spec);
  auto engine = make_engine(name, program, tokens, threads);
  EXPECT_TRUE(engine) << engine.error().detail;
  Steps out;
  out.state.assign(program.state_floats(), 0.0F);
  const std::vector<float> theta = program.initial_theta();
  std::copy(theta.begin(), theta.end(), out.state.begin());
  EXPECT_TRUE(engine.value()->load_state(out.state, 0));
  const Digest key = blake3(tokens);
  for (uint32_t i = 0; i < steps; ++i) {
    auto result = engine.value()->run_step({1, 0, i}, &key);
    EXPECT_TRUE(result) << result.error().detail;
    if (!result) return out;
    out.results.push_back(std::move(result.value()));
  }
  EXPECT_TRUE(engine.value()->read_state(out.state));
  return out;
}

TEST(GptProgram, CountsParametersTensorsAndWork) {
  const Program program = Program::make(toy_gpt()).value();
  const uint64_t block = 64 + 192 * 64 + 192 + 64 * 64 + 64 + 64 + 128 * 64 + 128 + 64 * 128 + 64;
  EXPECT_EQ(program.parameters(), 64 * 64 + 32 * 64 + 2 * block + 64 + 64 * 64);
  const uint64_t products = 64 * (192 * 64 + 64 * 64 + 2 * 128 * 64) * 2 + 64 * 64 * 64;
  // Six products of 32 columns over 32 · 33 / 2 pairs, for 2 blocks, sequences and heads each.
  EXPECT_EQ(program.macs_per_step(), 3 * products + 6 * 32 * (32 * 33 / 2) * 2 * 2 * 2);
  // A block: 14 of residuals, norms' gains and their gradients; 8 + 5 of attention; 4 linears. Then
  // PB, PG, CQ of every parameter, cf.
  EXPECT_EQ(program.tensors().size(), 1 + 2 * (2 + 2 + 3 + 4 * 5 + 4 * 4 + 8 + 5) + 1 + 4 + 2 + 4 +
                                          2 + 8 + 5 + program.parameter_list().size() + 1);
  Spec other = toy_gpt_tied();
  const size_t without = Program::make(other).value().tensors().size();
  other.clip = 1;
  const Program clipped = Program::make(other).value();
  EXPECT_EQ(clipped.tensors().size(), without + clipped.parameter_list().size() + 1);
  for (uint32_t i = 0; i < program.tensors().size(); ++i) {
    const TensorInfo& tensor = program.tensors()[i];
    EXPECT_EQ(program.position(tensor.kind, tensor.layer), i);
  }
}

// PROTOCOL 10.7, 10.10.
TEST(GptProgram, CutsParametersIntoUnits) {
  Spec spec = toy_gpt_tied();
  spec.clip = 1;
  const Program program = Program::make(spec).value();
  const auto units = [&](uint32_t j) {
    const TensorInfo& tensor = program.tensors()[program.position(TensorKind::squares, j)];
    EXPECT_EQ(tensor.cols, 1U);
    EXPECT_EQ(tensor.rows, program.parameter_list()[j].units());
    return tensor.rows;
  };
  EXPECT_EQ(units(0), 19U * 2);  // E: 300 × 80
  EXPECT_EQ(units(1), 2U * 2);   // P: 32 × 80
  EXPECT_EQ(units(2), 2U);       // gain: 80
  EXPECT_EQ(units(4), 15U * 2);  // W of qkv: 240 × 80
  EXPECT_EQ(units(5), 4U);       // its bias
  const TensorInfo& clip = program.tensors().back();
  EXPECT_EQ(clip.kind, TensorKind::clip);
  EXPECT_EQ(clip.rows, program.parameter_list().size() + 1);
  const TensorInfo& parts = program.tensors()[program.position(TensorKind::shift_parts, 2)];
  EXPECT_EQ(parts.rows, 3U);  // of 96 rows
  EXPECT_EQ(parts.bytes(), 3U * 128 * sizeof(float));
  EXPECT_TRUE(program.tensors()[program.position(TensorKind::d_residual, 0)].in_panels);
  EXPECT_FALSE(program.tensors()[program.position(TensorKind::d_residual, 1)].in_panels);
}

TEST(GptProgram, NamesTheFieldThatIsOutOfBounds) {
  const auto refusal = [](auto change) {
    Spec spec = toy_gpt();
    change(spec);
    const auto program = Program::make(spec);
    return program ? std::string("accepted") : program.error().detail;
  };
  EXPECT_EQ(refusal([](Spec&) {}), "accepted");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.vocabulary = 1; }), "vocabulary must be in 2 … 16384");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.width = 8192; }), "width must be in 64 … 4096");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.heads = 0; }), "heads must be in 1 … 64");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.heads = 3; }).substr(0, 5), "heads");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.hidden = 8; }).substr(0, 6), "hidden");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.blocks = 65; }), "blocks must be in 1 … 64");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.context = 40; }).substr(0, 7), "context");
  EXPECT_EQ(refusal([](Spec& s) {
              s.gpt.context = 8192;
              s.records = 20000;
            }),
            "context is too long for the opening of an attention block of this width");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.norm = static_cast<Norm>(3); }).substr(0, 4), "norm");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.activation = static_cast<Activation>(0); }).substr(0, 10),
            "activation");
  EXPECT_EQ(refusal([](Spec& s) { s.gpt.vocabulary = 257; }).substr(0, 11), "token_bytes");
  EXPECT_EQ(refusal([](Spec& s) { s.records = 32; }).substr(0, 7), "records");
  EXPECT_EQ(refusal([](Spec& s) { s.batch = 4096; }).substr(0, 5), "batch");
  EXPECT_EQ(refusal([](Spec& s) { s.clip = -1; }).substr(0, 4), "clip");
  EXPECT_EQ(refusal([](Spec& s) { s.outer_lr = 0; }).substr(0, 8), "outer_lr");
  EXPECT_EQ(refusal([](Spec& s) { s.outer_momentum = 1; }).substr(0, 14), "outer_momentum");
}

TEST(GptReference, LearnsAToyText) {
  for (const Spec& spec : {toy_gpt(), toy_gpt_tied()}) {
    const Steps steps = run("reference", spec, 30);
    ASSERT_EQ(steps.results.size(), 30U);
    const float first = steps.results.front().loss;
    EXPECT_NEAR(first, std::log(static_cast<float>(spec.gpt.vocabulary)), 0.4);
    EXPECT_LT(steps.results.back().loss, first - 0.3F);
  }
}

// What a step reports changes with every part of its input.
TEST(GptReference, DependsOnTheSlotTheSeedsAndTheTokens) {
  const Steps steps = run("reference", toy_gpt(), 2);
  Spec other = toy_gpt();
  other.sr_seed += 1;
  const Steps rounded = run("reference", other, 2);
  EXPECT_EQ(steps.results[0].loss, rounded.results[0].loss);
  EXPECT_NE(steps.results[0].roots, rounded.results[0].roots);
  other = toy_gpt();
  other.data_seed += 1;
  EXPECT_NE(steps.results[0].loss, run("reference", other, 1).results[0].loss);
}

TEST(GptEngine, RefusesWhatItCannotRun) {
  const Spec spec = toy_gpt();
  const Program program = Program::make(spec).value();
  Bytes tokens = toy_tokens(spec);
  for (const char* name : {"reference", "cpu"}) {
    auto engine = make_engine(name, program, tokens, 1);
    ASSERT_TRUE(engine);
    std::vector<float> state(program.state_floats(), 0.0F);
    EXPECT_EQ(engine.value()->load_state(std::span(state).first(5), 0).error().code,
              Errc::invalid_argument);
    state[77] = NAN;
    EXPECT_EQ(engine.value()->load_state(state, 0).error().code, Errc::invalid);
    EXPECT_EQ(engine.value()->run_step({0, 0, 0}, nullptr).error().code, Errc::invalid_argument);
  }
  tokens[20] = 64;
  auto engine = make_engine("cpu", program, tokens, 1);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().detail, "tokens: number 20 is 64, the vocabulary has 64");
  tokens.pop_back();
  EXPECT_EQ(make_engine("cpu", program, tokens, 1).error().code, Errc::invalid_argument);
}

TEST(GptEngine, EqualsTheReference) {
  for (const Spec& spec : {toy_gpt(), toy_gpt_tied()}) {
    const Program program = Program::make(spec).value();
    const Steps believed = run("reference", spec, 3);
    for (const int threads : {1, 3}) {
      const Steps checked = run("cpu", spec, 3, threads);
      ASSERT_EQ(checked.results.size(), 3U);
      for (size_t s = 0; s < 3; ++s) {
        EXPECT_EQ(checked.results[s].loss, believed.results[s].loss);
        for (size_t i = 0; i < believed.results[s].roots.size(); ++i)
          ASSERT_EQ(checked.results[s].roots[i], believed.results[s].roots[i])
              << "step " << s << ", " << tensor_name(program.tensors()[i].kind) << "_"
              << program.tensors()[i].layer;
      }
      EXPECT_EQ(checked.state, believed.state);
    }
  }
}

TEST(GptEngine, EvaluatesWholeWindows) {
  for (const Spec& spec : {toy_gpt(), toy_gpt_tied()}) {
    const Program program = Program::make(spec).value();
    const Bytes tokens = toy_tokens(spec);
    const ByteView some = ByteView(tokens).first((5 * spec.gpt.context + 1) * spec.gpt.token_bytes);
    const auto evaluation = evaluate(program, program.initial_theta(), some, 2);
    ASSERT_TRUE(evaluation);
    EXPECT_EQ(evaluation.value().records, 5 * spec.gpt.context);
    EXPECT_NEAR(evaluation.value().loss, std::log(static_cast<float>(spec.gpt.vocabulary)), 0.4);
    const ByteView less = ByteView(tokens).first(spec.gpt.context * spec.gpt.token_bytes);
    EXPECT_EQ(evaluate(program, program.initial_theta(), less, 1).value().records, 0U);
  }
}

}  // namespace
}  // namespace gemmine::kernels
