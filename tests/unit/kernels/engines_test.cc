#include "kernels/engines.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"
#include "kernels/engine_check.h"
#include "kernels/hash/blake3.h"
#include "tests/support/engine_around.h"

namespace gemmine::kernels {
namespace {

Spec spec_of(std::vector<uint32_t> widths, uint32_t batch, Optimiser optimiser) {
  return {
      .widths = std::move(widths),
      .records = 61,
      .feature_scale = 1.0F / 64.0F,
      .feature_shift = -0.25F,
      .optimiser = optimiser,
      .lr = optimiser == Optimiser::sgd ? 0.2F : 0.02F,
      .beta1 = 0.9F,
      .beta2 = 0.99F,
      .eps = 1e-7F,
      .wd = 0.01F,
      .warmup = 1,
      .batch = batch,
      .steps_per_lease = 4,
      .slots = 2,
      .rounds = 3,
      .init_seed = 3,
      .data_seed = 5,
      .sr_seed = 7,
  };
}

Program program_of(const Spec& spec) {
  Result<Program> program = Program::make(spec);
  EXPECT_TRUE(program.ok()) << (program.ok() ? "" : program.error().detail);
  return program.value();
}

// zero_rows: every third record has only features that are 0 after the shift of 16 · 1/64 = 0.25.
Bytes records_of(const Program& program, bool zero_rows = false) {
  Bytes out;
  uint32_t x = 9;
  for (uint32_t r = 0; r < program.spec().records; ++r) {
    for (uint32_t c = 0; c < program.inputs(0); ++c) {
      x = x * 1664525 + 1013904223;
      out.push_back(zero_rows && r % 3 == 0 ? 16 : static_cast<uint8_t>(x >> 24));
    }
    const uint32_t label = r * 37 % program.spec().widths.back();
    for (uint32_t byte = 0; byte < program.label_bytes(); ++byte)
      out.push_back(static_cast<uint8_t>(label >> 8 * byte));
  }
  return out;
}

std::vector<float> start_of(const Program& program) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  return state;
}

std::unique_ptr<Engine> engine_of(std::string_view name, const Program& program, ByteView records,
                                  int threads = 1) {
  auto engine = make_engine(name, program, records, threads);
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().detail);
  return std::move(engine.value());
}

// Runs a lease in the reference and the CPU engine side by side, on every path and thread count.
void expect_agreement(const Program& program, const Bytes& records,
                      const std::vector<float>& state) {
  const CpuPath before = cpu_path();
  for (const CpuPath path : cpu_paths()) {
    set_cpu_path_for_test(path);
    for (const int threads : {1, 2}) {
      auto engine = engine_of("check:cpu", program, records, threads);
      ASSERT_TRUE(engine->load_state(state, 0).ok());
      for (uint32_t h = 0; h < program.spec().steps_per_lease; ++h) {
        const Digest key = blake3(as_bytes(std::string_view("key")));
        const auto step = engine->run_step({1, 1, h}, &key);
        ASSERT_TRUE(step.ok()) << to_text(path) << " " << threads << ": " << step.error().detail;
        for (uint32_t i = 0; i < program.tensors().size(); ++i) {
          const Result<Bytes> bytes = engine->read_tensor(i);
          ASSERT_TRUE(bytes.ok()) << bytes.error().detail;
          EXPECT_EQ(bytes.value().size(), program.tensors()[i].bytes());
          EXPECT_EQ(blake3_keyed(key, bytes.value()), step.value().roots[i]);
        }
      }
    }
  }
  set_cpu_path_for_test(before);
}

struct Shape {
  std::vector<uint32_t> widths;
  uint32_t batch;
};

class EngineShapes : public testing::TestWithParam<Shape> {};

TEST_P(EngineShapes, EveryPathAgreesWithTheReferenceBitForBit) {
  for (const Optimiser optimiser : {Optimiser::sgd, Optimiser::adamw}) {
    const Program program = program_of(spec_of(GetParam().widths, GetParam().batch, optimiser));
    expect_agreement(program, records_of(program), start_of(program));
  }
}

INSTANTIATE_TEST_SUITE_P(Odd, EngineShapes,
                         testing::Values(Shape{{37, 48, 24, 10}, 33}, Shape{{1, 1}, 1},
                                         Shape{{5, 2}, 1}, Shape{{17, 1, 2}, 16},
                                         Shape{{64, 128, 64}, 32}, Shape{{65, 129, 256}, 31},
                                         Shape{{12, 257}, 40}, Shape{{7, 70, 1000}, 33},
                                         Shape{{130, 257, 3}, 47}, Shape{{16, 800, 7}, 5},
                                         Shape{{3, 5, 7, 11, 13, 2}, 65}));

TEST(Engine, AgreesOnRowsOfZeros) {
  const Program program = program_of(spec_of({20, 18, 4}, 30, Optimiser::adamw));
  std::vector<float> state = start_of(program);
  std::fill_n(state.begin() + 20, 40, 0.0F);  // Rows 1 and 2 of W_0.
  expect_agreement(program, records_of(program, true), state);
}

TEST(Engine, AgreesOnDenormals) {
  for (const Optimiser optimiser : {Optimiser::sgd, Optimiser::adamw}) {
    const Program program = program_of(spec_of({20, 18, 4}, 30, optimiser));
    std::vector<float> state = start_of(program);
    for (size_t i = 0; i < state.size(); ++i) {
      if (i % 3 == 0) state[i] = 0x1p-140F * static_cast<float>(i % 7);
      if (i < 60) state[i] *= 0x1p-30F;  // Whole rows near and below the scale's threshold.
      if (i >= 60 && i < 100) state[i] = 0x1p-130F;
    }
    expect_agreement(program, records_of(program), state);
  }
}

TEST(Engine, AgreesWhenReadInTheMiddleOfALease) {
  const Program program = program_of(spec_of({20, 18, 4}, 30, Optimiser::adamw));
  const Bytes records = records_of(program);
  auto whole = engine_of("cpu", program, records);
  ASSERT_TRUE(whole->load_state(start_of(program), 0).ok());
  ASSERT_TRUE(whole->run_step({0, 1, 0}, nullptr).ok());
  ASSERT_TRUE(whole->run_step({0, 1, 1}, nullptr).ok());
  std::vector<float> middle(program.state_floats());
  ASSERT_TRUE(whole->read_state(middle).ok());
  for (const char* name : {"cpu", "reference"}) {
    auto resumed = engine_of(name, program, records);
    ASSERT_TRUE(resumed->load_state(middle, 2).ok());
    const auto expected = whole->load_state(middle, 2);
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(whole->run_step({0, 1, 2}, nullptr).value().loss,
              resumed->run_step({0, 1, 2}, nullptr).value().loss);
    std::vector<float> a(middle.size());
    std::vector<float> b(middle.size());
    ASSERT_TRUE(whole->read_state(a).ok() && resumed->read_state(b).ok());
    EXPECT_EQ(a, b);
  }
}

TEST(Engine, DoesNotDependOnBeingWatched) {
  const Program program = program_of(spec_of({20, 18, 4}, 30, Optimiser::sgd));
  const Bytes records = records_of(program);
  auto engine = engine_of("cpu", program, records);
  std::vector<float> states[2];
  const Digest key;
  for (const bool watched : {false, true}) {
    ASSERT_TRUE(engine->load_state(start_of(program), 0).ok());
    const auto step = engine->run_step({0, 0, 0}, watched ? &key : nullptr);
    ASSERT_TRUE(step.ok());
    EXPECT_EQ(step.value().roots.size(), watched ? program.tensors().size() : 0);
    states[watched].resize(program.state_floats());
    ASSERT_TRUE(engine->read_state(states[watched]).ok());
  }
  EXPECT_EQ(states[0], states[1]);
}

TEST(Engine, RefusesAStateThatIsNotFinite) {
  const Program program = program_of(spec_of({20, 18, 4}, 30, Optimiser::adamw));
  const Bytes records = records_of(program);
  for (const char* name : {"cpu", "reference", "check:cpu"}) {
    auto engine = engine_of(name, program, records);
    for (const size_t at : {size_t{0}, size_t{20 * 18 + 3}, program.state_floats() - 1}) {
      std::vector<float> state = start_of(program);
      state[at] = std::numeric_limits<float>::quiet_NaN();
      const Status status = engine->load_state(state, 0);
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code, Errc::invalid);
      EXPECT_FALSE(engine->run_step({0, 0, 0}, nullptr).ok());
    }
  }
}

// Huge finite numbers in the state, and where the step then overflows (or that it does not).
struct Overflow {
  size_t at;
  size_t count;
  float value;
  const char* detail;
};

TEST(Engine, CallsAStepInvalidWhereItOverflows) {
  const Program program = program_of(spec_of({20, 18, 4}, 30, Optimiser::adamw));
  const Bytes records = records_of(program);
  const size_t p = program.parameters();
  const Overflow cases[] = {
      {0, 1, 3e38F, "the output of layer 0"},
      {program.weight_offset(1), 18, -3e38F, "the output of layer 1"},
      {program.bias_offset(0), 1, -3.4e38F, nullptr},  // a ReLU that never opens
      {p, 1, 3e38F, "the new state of layer 0"},       // m · 1/(1 − p1) is infinite, and so is w
      {2 * p + 5, 1, 3.4e38F, nullptr},                // √ of infinity only makes u zero
      {p + program.bias_offset(1), 1, -3.4e38F, "the new state of layer 1"},
  };
  for (const Overflow& overflow : cases) {
    std::vector<float> state = start_of(program);
    std::fill_n(state.begin() + static_cast<ptrdiff_t>(overflow.at), overflow.count,
                overflow.value);
    for (const char* name : {"cpu", "check:cpu"}) {
      auto engine = engine_of(name, program, records);
      ASSERT_TRUE(engine->load_state(state, 0).ok());
      const auto step = engine->run_step({0, 0, 0}, nullptr);
      ASSERT_EQ(step.ok(), overflow.detail == nullptr)
          << overflow.at << ": " << (step.ok() ? "" : step.error().detail);
      if (step.ok()) continue;
      EXPECT_EQ(step.error().code, Errc::invalid);
      EXPECT_NE(step.error().detail.find(overflow.detail), std::string::npos)
          << step.error().detail;
      EXPECT_FALSE(engine->run_step({0, 0, 1}, nullptr).ok());
    }
  }
}

TEST(Engine, RefusesAStepThatIsNotTheNext) {
  const Program program = program_of(spec_of({6, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program);
  for (const char* name : {"cpu", "reference"}) {
    auto engine = engine_of(name, program, records);
    EXPECT_FALSE(engine->run_step({0, 0, 0}, nullptr).ok()) << "no state yet";
    ASSERT_TRUE(engine->load_state(start_of(program), 0).ok());
    EXPECT_FALSE(engine->run_step({0, 0, 1}, nullptr).ok());
    EXPECT_FALSE(engine->run_step({3, 0, 0}, nullptr).ok());
    EXPECT_FALSE(engine->run_step({0, 2, 0}, nullptr).ok());
    EXPECT_TRUE(engine->run_step({2, 1, 0}, nullptr).ok());
    EXPECT_FALSE(engine->read_tensor(1000).ok());
    std::vector<float> small(3);
    EXPECT_FALSE(engine->read_state(small).ok());
    EXPECT_FALSE(engine->load_state(small, 0).ok());
    ASSERT_TRUE(engine->load_state(start_of(program), 4).ok());
    EXPECT_FALSE(engine->run_step({0, 0, 4}, nullptr).ok()) << "the lease has 4 steps";
  }
}

TEST(Engine, RefusesWhatItCannotBeMadeOf) {
  const Program program = program_of(spec_of({6, 3}, 4, Optimiser::sgd));
  Bytes records = records_of(program);
  EXPECT_EQ(make_engine("abacus", program, records, 1).error().code, Errc::unsupported);
  EXPECT_EQ(make_engine("check:abacus", program, records, 1).error().code, Errc::unsupported);
  EXPECT_EQ(make_engine("cpu", program, records, 0).error().code, Errc::invalid_argument);
  const ByteView short_of_one = ByteView(records).first(records.size() - 1);
  EXPECT_EQ(make_engine("cpu", program, short_of_one, 1).error().code, Errc::invalid_argument);
  records[6] = 3;
  const auto engine = make_engine("cpu", program, records, 1);
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.error().detail.find("label 3"), std::string::npos) << engine.error().detail;
}

TEST(Engine, ReadsLabelsOfTwoBytesWhereThereAreMoreThan256Classes) {
  EXPECT_EQ(program_of(spec_of({6, 256}, 4, Optimiser::sgd)).record_bytes(), 7U);
  const Program program = program_of(spec_of({6, 257}, 4, Optimiser::sgd));
  EXPECT_EQ(program.record_bytes(), 8U);
  Bytes records = records_of(program);
  records[8 + 6] = 0;
  records[8 + 7] = 1;  // label 256 of record 1: little-endian
  EXPECT_TRUE(make_engine("cpu", program, records, 1).ok());
  records[8 + 6] = 1;
  const auto engine = make_engine("cpu", program, records, 1);
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.error().detail.find("record 1 has label 257"), std::string::npos)
      << engine.error().detail;
}

// Lies about one bit of one thing, from the second step on.
class Liar final : public test::EngineAround {
 public:
  enum class Lie { nothing, loss, root, state, outcome };
  Liar(std::unique_ptr<Engine> honest, Lie lie) : EngineAround(std::move(honest)), lie_(lie) {}
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override {
    auto step = inner().run_step(key, step_key);
    lying_ = key.step > 0;
    if (!step || !lying_) return step;
    if (lie_ == Lie::outcome) return Error{Errc::invalid, "so I say"};
    if (lie_ == Lie::root) step.value().roots[3].bytes[7] ^= 1;
    if (lie_ == Lie::loss)
      step.value().loss = std::bit_cast<float>(std::bit_cast<uint32_t>(step.value().loss) ^ 1U);
    return step;
  }
  Status read_state(std::span<float> state) override {
    const Status status = inner().read_state(state);
    if (lying_ && lie_ == Lie::state)
      state.back() = std::bit_cast<float>(std::bit_cast<uint32_t>(state.back()) ^ 1U);
    return status;
  }

 private:
  Lie lie_;
  bool lying_ = false;
};

TEST(CheckEngine, CatchesOneBit) {
  const Program program = program_of(spec_of({9, 8, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program);
  const std::pair<Liar::Lie, const char*> cases[] = {
      {Liar::Lie::nothing, nullptr},
      {Liar::Lie::loss, "the loss"},
      {Liar::Lie::root, "the root of sw of layer 0"},
      {Liar::Lie::state, "of the state"},
      {Liar::Lie::outcome, "whether the step is valid"},
  };
  for (const auto& [lie, detail] : cases) {
    CheckEngine check(program, engine_of("reference", program, records),
                      std::make_unique<Liar>(engine_of("cpu", program, records), lie));
    ASSERT_TRUE(check.load_state(start_of(program), 0).ok());
    const Digest key;
    EXPECT_TRUE(check.run_step({0, 0, 0}, &key).ok());
    const auto step = check.run_step({0, 0, 1}, &key);
    ASSERT_EQ(step.ok(), detail == nullptr);
    if (detail == nullptr) continue;
    EXPECT_EQ(step.error().code, Errc::invalid);
    EXPECT_NE(step.error().detail.find(detail), std::string::npos) << step.error().detail;
    EXPECT_FALSE(check.run_step({0, 0, 2}, &key).ok());
  }
}

TEST(Evaluate, CountsEveryRecordOnceWhateverTheBatch) {
  const Program program = program_of(spec_of({9, 8, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program);
  const auto small = evaluate(program, program.initial_theta(), records, 2);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(small.value().records, 61U);
  Spec wide = program.spec();
  wide.batch = 100;
  const auto large = evaluate(program_of(wide), program.initial_theta(), records, 1);
  ASSERT_TRUE(large.ok());
  EXPECT_EQ(small.value().correct, large.value().correct);
  EXPECT_EQ(small.value().loss, large.value().loss);
  EXPECT_NEAR(small.value().loss, std::log(3.0), 2.0);
}

TEST(Evaluate, SeesTrainingHelp) {
  Spec spec = spec_of({9, 32, 3}, 61, Optimiser::adamw);
  spec.steps_per_lease = 100;
  const Program program = program_of(spec);
  const Bytes records = records_of(program);
  auto engine = engine_of("cpu", program, records);
  ASSERT_TRUE(engine->load_state(start_of(program), 0).ok());
  for (uint32_t h = 0; h < spec.steps_per_lease; ++h)
    ASSERT_TRUE(engine->run_step({0, 0, h}, nullptr).ok());
  std::vector<float> state(program.state_floats());
  ASSERT_TRUE(engine->read_state(state).ok());
  const auto before = evaluate(program, program.initial_theta(), records, 1);
  const auto after = evaluate(program, std::span(state).first(program.parameters()), records, 1);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_GT(after.value().correct, before.value().correct);
  EXPECT_LT(after.value().loss, before.value().loss);
}

TEST(Evaluate, RefusesWhatIsNotWhole) {
  const Program program = program_of(spec_of({9, 8, 3}, 4, Optimiser::sgd));
  const Bytes records = records_of(program);
  const auto theta = program.initial_theta();
  EXPECT_FALSE(evaluate(program, theta, ByteView(records).first(15), 1).ok());
  EXPECT_FALSE(evaluate(program, std::span(theta).first(5), records, 1).ok());
  EXPECT_TRUE(evaluate(program, theta, {}, 1).ok());
}

}  // namespace
}  // namespace gemmine::kernels
