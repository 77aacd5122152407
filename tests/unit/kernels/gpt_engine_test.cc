// The CPU engine of a gpt beside the plain loops: every shape, path and number of threads.
#include <cmath>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/reference/gpt.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::kernels {
namespace {

using testing::toy_gpt;
using testing::toy_gpt_tied;
using testing::toy_tokens;

std::vector<float> first_state(const Program& program) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  return state;
}

std::unique_ptr<Engine> make(const char* name, const Program& program, ByteView tokens,
                             int threads) {
  auto engine = make_engine(name, program, tokens, threads);
  EXPECT_TRUE(engine);
  return std::move(engine.value());
}

struct Case {
  const char* name;
  Spec spec;
};

Spec shaped(Spec spec, const GptShape& shape, uint32_t batch) {
  spec.gpt = shape;
  spec.batch = batch;
  return spec;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](const char* name, const Spec& spec) { all.push_back({name, spec}); };
  add("odd hidden width, one sequence, narrow heads",
      shaped(toy_gpt(),
             {.vocabulary = 70, .width = 80, .heads = 5, .hidden = 37, .blocks = 1, .context = 96},
             1));
  add("one wide head", shaped(toy_gpt(),
                              {.vocabulary = 256,
                               .width = 256,
                               .heads = 1,
                               .hidden = 64,
                               .blocks = 1,
                               .context = 160,
                               .norm = Norm::layer,
                               .activation = Activation::silu},
                              1));
  add("the shortest context, many rows", shaped(toy_gpt(),
                                                {.vocabulary = 17,
                                                 .width = 64,
                                                 .heads = 4,
                                                 .hidden = 16,
                                                 .blocks = 2,
                                                 .context = 32,
                                                 .activation = Activation::silu,
                                                 .tied = true},
                                                7));
  Spec spec = shaped(toy_gpt_tied(),
                     {.vocabulary = 600,
                      .width = 96,
                      .heads = 3,
                      .hidden = 200,
                      .blocks = 2,
                      .context = 288,
                      .norm = Norm::layer,
                      .token_bytes = 2},
                     1);
  spec.clip = 0.01F;
  add("a hard clip with SGD, several groups of logits, keys past one stochastic group", spec);
  spec = toy_gpt();
  spec.clip = 0;
  add("AdamW without a clip", spec);
  spec.gpt.tied = true;
  add("the same, tied", spec);
  return all;
}

TEST(GptCpuEngine, EqualsTheReferenceInEveryShapeAndPath) {
  const CpuPath before = cpu_path();
  for (const Case& one : cases()) {
    const Program program = Program::make(one.spec).value();
    const Bytes tokens = toy_tokens(one.spec);
    const Digest key = blake3(tokens);
    auto believed = make_engine("reference", program, tokens, 1);
    ASSERT_TRUE(believed && believed.value()->load_state(first_state(program), 0)) << one.name;
    std::vector<StepResult> expected;
    for (uint32_t step = 0; step < 2; ++step)
      expected.push_back(believed.value()->run_step({1, 1, step}, &key).value());
    std::vector<float> last(program.state_floats());
    ASSERT_TRUE(believed.value()->read_state(last));
    for (const CpuPath path : cpu_paths()) {
      set_cpu_path_for_test(path);
      for (const int threads : {1, 3}) {
        SCOPED_TRACE(std::string(one.name) + ", " + std::string(to_text(path)) + ", " +
                     std::to_string(threads) + " threads");
        auto engine = make_engine("cpu", program, tokens, threads);
        ASSERT_TRUE(engine && engine.value()->load_state(first_state(program), 0));
        EXPECT_EQ(engine.value()->name(), "cpu");
        for (uint32_t step = 0; step < 2; ++step) {
          const auto result = engine.value()->run_step({1, 1, step}, &key);
          ASSERT_TRUE(result) << result.error().detail;
          EXPECT_EQ(result.value().loss, expected[step].loss);
          for (uint32_t i = 0; i < program.tensors().size(); ++i)
            ASSERT_EQ(result.value().roots[i], expected[step].roots[i])
                << "step " << step << ", " << tensor_name(program.tensors()[i].kind) << "_"
                << program.tensors()[i].layer;
        }
        std::vector<float> state(program.state_floats());
        ASSERT_TRUE(engine.value()->read_state(state));
        EXPECT_EQ(state, last);
      }
    }
  }
  set_cpu_path_for_test(before);
}

// Commitments only look; a step without them ends in the same bits, and tensors can be read back.
TEST(GptCpuEngine, StepsAlikeWithoutCommitmentsAndShowsItsTensors) {
  const Spec spec = toy_gpt();
  const Program program = Program::make(spec).value();
  const Bytes tokens = toy_tokens(spec);
  const Digest key = blake3(tokens);
  auto proved = make("cpu", program, tokens, 2);
  auto alone = make("cpu", program, tokens, 1);
  ASSERT_TRUE(proved->load_state(first_state(program), 0));
  ASSERT_TRUE(alone->load_state(first_state(program), 0));
  std::vector<float> states[2];
  for (uint32_t step = 0; step < 3; ++step) {
    const StepResult with = proved->run_step({0, 1, step}, &key).value();
    const StepResult without = alone->run_step({0, 1, step}, nullptr).value();
    EXPECT_EQ(with.loss, without.loss);
    EXPECT_TRUE(without.roots.empty());
    for (uint32_t i = 0; i < program.tensors().size(); ++i)
      ASSERT_EQ(blake3_keyed(key, proved->read_tensor(i).value()), with.roots[i]);
  }
  for (std::vector<float>& state : states)
    state.resize(program.state_floats());
  ASSERT_TRUE(proved->read_state(states[0]));
  ASSERT_TRUE(alone->read_state(states[1]));
  EXPECT_EQ(states[0], states[1]);
  EXPECT_FALSE(proved->read_tensor(static_cast<uint32_t>(program.tensors().size())));
}

TEST(GptCpuEngine, TakesUpALeaseInTheMiddle) {
  const Spec spec = toy_gpt();
  const Program program = Program::make(spec).value();
  const Bytes tokens = toy_tokens(spec);
  auto through = make("cpu", program, tokens, 1);
  ASSERT_TRUE(through->load_state(first_state(program), 0));
  std::vector<float> middle(program.state_floats());
  std::vector<float> end(middle.size());
  for (uint32_t step = 0; step < 4; ++step) {
    ASSERT_TRUE(through->run_step({0, 0, step}, nullptr));
    if (step == 1) {
      ASSERT_TRUE(through->read_state(middle));
    }
  }
  ASSERT_TRUE(through->read_state(end));
  auto later = make("cpu", program, tokens, 2);
  ASSERT_TRUE(later->load_state(middle, 2));
  EXPECT_EQ(later->run_step({0, 0, 1}, nullptr).error().code, Errc::invalid_argument);
  for (uint32_t step = 2; step < 4; ++step)
    ASSERT_TRUE(later->run_step({0, 0, step}, nullptr));
  ASSERT_TRUE(later->read_state(middle));
  EXPECT_EQ(middle, end);
}

// A state whose products leave fp32 somewhere on the way is invalid, wherever that is.
TEST(GptCpuEngine, CallsAStepInvalidWhereTheReferenceDoes) {
  for (const Spec& spec : {toy_gpt(), toy_gpt_tied()}) {
    const Program program = Program::make(spec).value();
    const Bytes tokens = toy_tokens(spec);
    for (const ParameterInfo& parameter : program.parameter_list()) {
      std::vector<float> state = first_state(program);
      for (uint64_t i = 0; i < parameter.count(); ++i)
        state[parameter.offset + i] = 3e38F;
      StepResult results[2];
      bool ran[2];
      size_t which = 0;
      for (const char* name : {"reference", "cpu"}) {
        auto engine = make(name, program, tokens, 1);
        ASSERT_TRUE(engine->load_state(state, 0));
        auto result = engine->run_step({0, 0, 0}, nullptr);
        ran[which] = result.ok();
        if (result) {
          results[which] = std::move(result.value());
        } else {
          EXPECT_EQ(result.error().code, Errc::invalid) << result.error().detail;
          EXPECT_FALSE(engine->run_step({0, 0, 0}, nullptr)) << "its state is not usable";
        }
        ++which;
      }
      EXPECT_EQ(ran[0], ran[1]) << "parameter at " << parameter.offset;
      if (ran[0] && ran[1]) {
        EXPECT_EQ(results[0].loss, results[1].loss);
      }
    }
  }
}

// Gradients may be finite where their squares are not: no factor follows, not even 0
// (PROTOCOL 10.8).
TEST(GptCpuEngine, ANormThatIsNotFiniteMakesTheStepInvalid) {
  Spec spec = toy_gpt();
  const Bytes tokens = toy_tokens(spec);
  for (const float clip : {0.0F, 1.0F}) {
    spec.clip = clip;
    const Program program = Program::make(spec).value();
    std::vector<float> state = first_state(program);
    const ParameterInfo& head = program.parameter_list().back();
    for (uint64_t i = 0; i < head.count(); ++i)
      state[head.offset + i] *= 0x1p80F;
    for (const char* name : {"reference", "cpu"}) {
      auto engine = make(name, program, tokens, 1);
      ASSERT_TRUE(engine->load_state(state, 0));
      const auto result = engine->run_step({0, 0, 0}, nullptr);
      ASSERT_FALSE(result) << name;
      EXPECT_EQ(result.error().code, Errc::invalid);
      // Without a clip it is AdamW's second moment that overflows.
      const char* const what = name[0] == 'c' ? "the norm of the gradient" : "CQ_0";
      EXPECT_EQ(result.error().detail.ends_with(what), clip > 0) << result.error().detail;
    }
  }
}

TEST(GptCpuEngine, EvaluatesLikeTheReference) {
  for (const Spec& spec : {toy_gpt(), toy_gpt_tied()}) {
    const Program program = Program::make(spec).value();
    const Bytes tokens = toy_tokens(spec);
    const std::vector<float> theta = program.initial_theta();
    const auto many = evaluate(program, theta, tokens, 3);
    const auto one = evaluate(program, theta, tokens, 1);
    ASSERT_TRUE(many && one);
    EXPECT_EQ(many.value().loss, one.value().loss);
    EXPECT_EQ(many.value().correct, one.value().correct);
    EXPECT_EQ(many.value().records, (spec.records - 1) / spec.gpt.context * spec.gpt.context);
    const auto believed = GptReferenceEngine(program, tokens).evaluate(theta, tokens);
    ASSERT_TRUE(believed);
    EXPECT_EQ(many.value().loss, believed.value().loss);
    EXPECT_EQ(many.value().correct, believed.value().correct);
  }
}

TEST(GptCpuEngine, IsChecked) {
  const Spec spec = toy_gpt_tied();
  const Program program = Program::make(spec).value();
  const Bytes tokens = toy_tokens(spec);
  auto engine = make_engine("check:cpu", program, tokens, 2);
  ASSERT_TRUE(engine);
  ASSERT_TRUE(engine.value()->load_state(first_state(program), 0));
  for (uint32_t step = 0; step < 2; ++step)
    EXPECT_TRUE(engine.value()->run_step({0, 0, step}, nullptr));
}

}  // namespace
}  // namespace gemmine::kernels
