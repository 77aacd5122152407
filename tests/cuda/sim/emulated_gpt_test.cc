// Whole steps of a gpt on emulated kernels: tensor by tensor, and by outcome, beside the reference.
#include <cmath>
#include <limits>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

using kernels::Engine;
using kernels::Program;
using kernels::Spec;
using testing::toy_gpt;
using testing::toy_gpt_tied;
using testing::toy_tokens;

class EmulatedGpt : public EmulatedTest {
 protected:
  EmulatedGpt() { kernels::set_cuda_api_for_test(&emulated_api()); }
  ~EmulatedGpt() override { kernels::set_cuda_api_for_test(nullptr); }
};

std::unique_ptr<Engine> engine_of(std::string_view name, const Program& program,
                                  const Bytes& tokens) {
  auto made = kernels::make_engine(name, program, tokens, 1);
  EXPECT_TRUE(made.ok()) << made.error().detail;
  return made.ok() ? std::move(made.value()) : nullptr;
}

std::vector<float> first_state(const Program& program) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  return state;
}

// A tensor is named, so that a wrong kernel is found by what it made.
void expect_same_step(Engine& believed, Engine& cuda, const Program& program, uint32_t step) {
  const Digest key = kernels::blake3({reinterpret_cast<const uint8_t*>(&step), sizeof step});
  const auto want = believed.run_step({.round = 1, .slot = 1, .step = step}, &key);
  const auto got = cuda.run_step({.round = 1, .slot = 1, .step = step}, &key);
  ASSERT_TRUE(want.ok()) << want.error().detail;
  ASSERT_TRUE(got.ok()) << got.error().detail;
  for (uint32_t i = 0; i < program.tensors().size(); ++i) {
    const kernels::TensorInfo& tensor = program.tensors()[i];
    const auto name = ::testing::Message() << kernels::tensor_name(tensor.kind) << "_"
                                           << tensor.layer << " of step " << step;
    const auto bytes = believed.read_tensor(i);
    const auto emulated = cuda.read_tensor(i);
    ASSERT_TRUE(bytes.ok() && emulated.ok()) << name;
    ASSERT_EQ(bytes.value(), emulated.value()) << name;
    EXPECT_EQ(want.value().roots[i], got.value().roots[i]) << "root of " << name;
  }
  EXPECT_EQ(std::memcmp(&want.value().loss, &got.value().loss, sizeof(float)), 0) << "loss";
  std::vector<float> believed_state(program.state_floats());
  std::vector<float> state(program.state_floats());
  ASSERT_TRUE(believed.read_state(believed_state).ok());
  ASSERT_TRUE(cuda.read_state(state).ok());
  for (const kernels::ParameterInfo& parameter : program.parameter_list()) {
    for (uint64_t at = parameter.offset; at < program.state_floats(); at += program.parameters())
      EXPECT_EQ(std::memcmp(&believed_state[at], &state[at], parameter.count() * sizeof(float)), 0)
          << "parameter of kind " << static_cast<int>(parameter.kind) << ", " << parameter.index;
  }
}

void expect_same_steps(const Spec& spec, uint32_t steps) {
  const auto made = Program::make(spec);
  ASSERT_TRUE(made.ok()) << made.error().detail;
  const Program& program = made.value();
  const Bytes tokens = toy_tokens(spec);
  const auto believed = engine_of("reference", program, tokens);
  const auto cuda = engine_of("cuda:0", program, tokens);
  ASSERT_TRUE(believed != nullptr && cuda != nullptr);
  ASSERT_TRUE(believed->load_state(first_state(program), 0).ok());
  ASSERT_TRUE(cuda->load_state(first_state(program), 0).ok());
  for (uint32_t step = 0; step < steps; ++step) {
    expect_same_step(*believed, *cuda, program, step);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

Spec spec_of(const kernels::GptShape& shape, uint32_t batch, kernels::Optimiser optimiser) {
  Spec spec = toy_gpt();
  spec.gpt = shape;
  spec.batch = batch;
  spec.optimiser = optimiser;
  return spec;
}

TEST_F(EmulatedGpt, MakesTheReferencesTensors) {
  emulated_device().schedule.order = cudasim::Order::greedy;
  expect_same_steps(toy_gpt(), 2);
  expect_same_steps(toy_gpt_tied(), 2);
}

TEST_F(EmulatedGpt, MakesTheReferencesTensorsAtOddSizes) {
  emulated_device().schedule.order = cudasim::Order::random;
  // The narrowest heads, and a token more than one group of logits has.
  expect_same_steps(spec_of({.vocabulary = 257,
                             .width = 64,
                             .heads = 4,
                             .hidden = 16,
                             .blocks = 1,
                             .context = 32,
                             .token_bytes = 2},
                            3, kernels::Optimiser::sgd),
                    2);
  // Three tiles of positions, the last one of 16.
  expect_same_steps(spec_of({.vocabulary = 2,
                             .width = 64,
                             .heads = 1,
                             .hidden = 17,
                             .blocks = 1,
                             .context = 160,
                             .norm = kernels::Norm::layer},
                            1, kernels::Optimiser::adamw),
                    2);
}

TEST_F(EmulatedGpt, MakesTheReferencesTensorsOfWideHeads) {
  for (const uint32_t width : {128U, 256U})
    expect_same_steps(spec_of({.vocabulary = 33,
                               .width = width,
                               .heads = 1,
                               .hidden = 80,
                               .blocks = 1,
                               .context = 96,
                               .activation = kernels::Activation::silu,
                               .tied = true},
                              1, kernels::Optimiser::adamw),
                      1);
}

TEST_F(EmulatedGpt, GoesOnInTheMiddleOfALeaseWithoutRoots) {
  const Program program = Program::make(toy_gpt()).value();
  const Bytes tokens = toy_tokens(program.spec());
  const auto engine = engine_of("check:cuda:0", program, tokens);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->load_state(first_state(program), 3).ok());
  const auto result = engine->run_step({.step = 3}, nullptr);
  ASSERT_TRUE(result.ok()) << result.error().detail;
  EXPECT_TRUE(result.value().roots.empty());
}

// PROTOCOL 10.8: what overflows makes the step invalid, and both name the same first place.
TEST_F(EmulatedGpt, AnOverflowMakesTheStepInvalid) {
  using enum kernels::ParameterKind;
  struct Case {
    const char* where;
    kernels::ParameterKind kind;
    uint32_t index;
    float value;
  };
  const float huge = std::numeric_limits<float>::max();
  for (const Case& c :
       {Case{"R_0", tokens, 0, huge}, Case{"what X_0 is made of", gain, 0, huge},
        Case{"what Q_0 is made of", gain, 0, 1e38F}, Case{"a score of m_0", bias, 0, 1e30F},
        Case{"R_1", weight, 1, huge}, Case{"what X_3 is made of", weight, 2, huge},
        Case{"what G1_2 is made of", bias, 2, 1e30F}, Case{"R_2", weight, 3, huge},
        Case{"mu_0", weight, 8, huge}, Case{"the loss", weight, 8, 1e36F}}) {
    const Program program = Program::make(toy_gpt()).value();
    const Bytes text = toy_tokens(program.spec());
    std::vector<float> state = first_state(program);
    for (const kernels::ParameterInfo& parameter : program.parameter_list()) {
      const bool is_embedding = c.kind == tokens && parameter.kind == positions;
      if (!is_embedding && (parameter.kind != c.kind || parameter.index != c.index)) continue;
      for (uint64_t i = 0; i < parameter.count(); ++i)
        state[parameter.offset + i] = c.kind == weight && i * 7 % 13 > 5 ? c.value / -2 : c.value;
    }
    const auto reference = engine_of("reference", program, text);
    const auto cuda = engine_of("cuda:0", program, text);
    ASSERT_TRUE(reference->load_state(state, 0).ok());
    ASSERT_TRUE(cuda->load_state(state, 0).ok());
    const auto want = reference->run_step({}, nullptr);
    const auto got = cuda->run_step({}, nullptr);
    ASSERT_FALSE(want.ok()) << c.where;
    ASSERT_FALSE(got.ok()) << c.where;
    EXPECT_EQ(got.error().code, Errc::invalid);
    EXPECT_EQ(got.error().detail, want.error().detail);
    EXPECT_EQ(got.error().detail, std::string("NaN or infinity in ") + c.where);
    EXPECT_EQ(cuda->run_step({}, nullptr).error().code, Errc::invalid_argument);
    EXPECT_EQ(cuda->read_tensor(0).error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace gemmine::test
