// Whole steps of the CUDA engine on emulated kernels must be the bits of the reference engine.
#include <cmath>
#include <limits>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/self_test.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy.h"

namespace gemmine::test {
namespace {

using kernels::Optimiser;
using kernels::Program;
using kernels::Spec;

class EmulatedStep : public EmulatedTest {
 protected:
  EmulatedStep() { kernels::set_cuda_api_for_test(&emulated_api()); }
  ~EmulatedStep() override { kernels::set_cuda_api_for_test(nullptr); }
};

Spec spec_of(std::vector<uint32_t> widths, uint32_t batch, Optimiser optimiser) {
  Spec spec = toy_spec(optimiser);
  spec.widths = std::move(widths);
  spec.batch = batch;
  spec.records = 17;
  return spec;
}

Bytes records_of(const Program& program) {
  Bytes out;
  uint32_t x = 7;
  for (uint32_t r = 0; r < program.spec().records; ++r) {
    for (uint32_t c = 0; c < program.inputs(0); ++c) {
      x = x * 1664525 + 1013904223;
      out.push_back(static_cast<uint8_t>(x >> 24));
    }
    const uint32_t label = r * 37 % program.spec().widths.back();
    for (uint32_t byte = 0; byte < program.label_bytes(); ++byte)
      out.push_back(static_cast<uint8_t>(label >> 8 * byte));
  }
  return out;
}

std::unique_ptr<kernels::Engine> engine_of(std::string_view name, const Program& program,
                                           const Bytes& records) {
  auto made = kernels::make_engine(name, program, records, 1);
  EXPECT_TRUE(made.ok()) << made.error().detail;
  return made.ok() ? std::move(made.value()) : nullptr;
}

std::vector<float> first_state(const Program& program) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  return state;
}

// check:cuda:0 compares outcome, loss, roots and state of each step with the reference engine.
void expect_same_steps(const Spec& spec, uint32_t steps) {
  const auto made = Program::make(spec);
  ASSERT_TRUE(made.ok()) << made.error().detail;
  const Program& program = made.value();
  const Bytes records = records_of(program);
  const auto engine = engine_of("check:cuda:0", program, records);
  ASSERT_NE(engine, nullptr);
  const Status loaded = engine->load_state(first_state(program), 0);
  ASSERT_TRUE(loaded.ok()) << loaded.error().detail;
  for (uint32_t h = 0; h < steps; ++h) {
    const Digest key = kernels::blake3({reinterpret_cast<const uint8_t*>(&h), sizeof h});
    // The last step goes without commitments.
    const auto result =
        engine->run_step({.round = 1, .slot = 1, .step = h}, h + 1 < steps ? &key : nullptr);
    ASSERT_TRUE(result.ok()) << result.error().detail;
    for (uint32_t i = 0; i < program.tensors().size(); ++i) {
      const auto bytes = engine->read_tensor(i);
      ASSERT_TRUE(bytes.ok()) << bytes.error().detail;
      EXPECT_EQ(bytes.value().size(), program.tensors()[i].bytes());
    }
  }
}

TEST_F(EmulatedStep, ComputesTheGoldenBits) {
  emulated_device().schedule.order = cudasim::Order::greedy;
  const Status status = kernels::self_test("cuda:0");
  EXPECT_TRUE(status.ok()) << status.error().detail;
}

TEST_F(EmulatedStep, ComputesTheGoldenBitsInEverySchedule) {
  for (const cudasim::Schedule& schedule : schedules()) {
    emulated_device().schedule = schedule;
    const Status status = kernels::self_test("cuda:0");
    EXPECT_TRUE(status.ok()) << status.error().detail;
  }
  EXPECT_EQ(emulated_device().allocated, 0U);
  EXPECT_EQ(emulated_device().contexts, 0U);
}

TEST_F(EmulatedStep, EqualsTheReferenceAtOddSizes) {
  emulated_device().schedule.order = cudasim::Order::greedy;
  for (const Optimiser optimiser : {Optimiser::sgd, Optimiser::adamw}) {
    expect_same_steps(spec_of({70, 2}, 33, optimiser), 3);
    expect_same_steps(spec_of({1, 1, 2}, 1, optimiser), 2);
    expect_same_steps(spec_of({65, 129, 31, 3}, 31, optimiser), 3);
    expect_same_steps(spec_of({16, 130, 1}, 64, optimiser), 2);
    expect_same_steps(spec_of({9, 20, 300}, 33, optimiser), 2);  // labels of two bytes
  }
}

TEST_F(EmulatedStep, EqualsTheReferenceAcrossTilesAndHashGroups) {
  expect_same_steps(spec_of({700, 140, 256}, 200, Optimiser::adamw), 2);
}

TEST_F(EmulatedStep, AddsTheLossOfALargeBatchInBlocks) {
  expect_same_steps(spec_of({2, 2}, 8200, Optimiser::sgd), 1);
}

TEST_F(EmulatedStep, RefusesAStateThatIsNotFinite) {
  const auto program = Program::make(spec_of({8, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program.value());
  const auto engine = engine_of("cuda:0", program.value(), records);
  std::vector<float> state = first_state(program.value());
  state[5] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(engine->load_state(state, 0).error().code, Errc::invalid);
  EXPECT_EQ(engine->run_step({}, nullptr).error().code, Errc::invalid_argument);
}

// PROTOCOL 2.1: a value that overflows anywhere makes the step invalid, and names where.
TEST_F(EmulatedStep, AnOverflowMakesTheStepInvalid) {
  struct Case {
    const char* where;
    size_t parameter;  // W_0 is 0 … 23, b_0 24 … 26, W_1 27 … 32, b_1 33 and 34
    float value;
    float scale;
  };
  const float huge = std::numeric_limits<float>::max();
  for (const Case& c : {Case{"the output of layer 0", 24, huge, 0x1p-7F},
                        Case{"the input of layer 0", 0, 0.5F, huge},
                        Case{"the output of layer 1", 33, huge, 0x1p-7F}}) {
    Spec spec = spec_of({8, 3, 2}, 4, Optimiser::sgd);
    spec.feature_scale = c.scale;
    const auto program = Program::make(spec);
    const Bytes records = records_of(program.value());
    std::vector<float> state = first_state(program.value());
    for (size_t i = 0; i < 24; ++i)
      state[i] = huge;  // so that X · W has infinities or cancels
    state[c.parameter] = c.value;
    const auto reference = engine_of("reference", program.value(), records);
    const auto cuda = engine_of("cuda:0", program.value(), records);
    ASSERT_TRUE(reference->load_state(state, 0).ok());
    ASSERT_TRUE(cuda->load_state(state, 0).ok());
    const auto want = reference->run_step({}, nullptr);
    const auto got = cuda->run_step({}, nullptr);
    ASSERT_FALSE(want.ok());
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, Errc::invalid);
    EXPECT_EQ(got.error().detail, want.error().detail) << c.where;
    EXPECT_EQ(cuda->run_step({}, nullptr).error().code, Errc::invalid_argument);
    ASSERT_TRUE(cuda->load_state(first_state(program.value()), 0).ok());
  }
}

TEST_F(EmulatedStep, RefusesStepsOutOfOrder) {
  const auto program = Program::make(spec_of({8, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program.value());
  const auto engine = engine_of("cuda:0", program.value(), records);
  EXPECT_EQ(engine->run_step({}, nullptr).error().code, Errc::invalid_argument);
  ASSERT_TRUE(engine->load_state(first_state(program.value()), 0).ok());
  EXPECT_EQ(engine->read_tensor(0).error().code, Errc::invalid_argument);
  EXPECT_EQ(engine->run_step({.step = 1}, nullptr).error().code, Errc::invalid_argument);
  EXPECT_TRUE(engine->run_step({}, nullptr).ok());
  EXPECT_EQ(engine->run_step({}, nullptr).error().code, Errc::invalid_argument);
  EXPECT_EQ(engine->read_tensor(1000).error().code, Errc::invalid_argument);
}

TEST_F(EmulatedStep, GoesOnInTheMiddleOfALease) {
  const auto program = Program::make(spec_of({9, 5, 3}, 6, Optimiser::adamw));
  const Bytes records = records_of(program.value());
  const auto engine = engine_of("check:cuda:0", program.value(), records);
  ASSERT_TRUE(engine->load_state(first_state(program.value()), 3).ok());
  const auto result = engine->run_step({.step = 3}, nullptr);
  EXPECT_TRUE(result.ok()) << result.error().detail;
}

}  // namespace
}  // namespace gemmine::test
