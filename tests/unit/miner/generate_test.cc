#include "miner/generate.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::miner {
namespace {

double nll(std::span<const float> logits, uint32_t target) {
  double sum = 0;
  for (const float logit : logits)
    sum += std::exp(static_cast<double>(logit));
  return std::log(sum) - static_cast<double>(logits[target]);
}

// The engine's forward pass is int8 and by the batch, ours fp32 and by the token: two texts of one
// model, so their losses are close, and would not be if either misread a weight.
void compare_with_engine(kernels::Spec spec) {
  spec.lr *= 0.5F;
  const auto tokens = testing::toy_tokens(spec);
  const auto program = kernels::Program::make(spec).value();
  const auto made = kernels::make_engine("reference", program, tokens, 1);
  kernels::Engine* const engine = made.value().get();
  std::vector<float> state(program.state_floats(), 0.0F);
  std::ranges::copy(program.initial_theta(), state.begin());
  ASSERT_TRUE(engine->load_state(state, 0));
  for (uint32_t step = 0; step < 20; ++step)
    ASSERT_TRUE(engine->run_step({0, 0, step}, nullptr));
  ASSERT_TRUE(engine->read_state(state));
  const std::vector<float> theta(state.begin(),
                                 state.begin() + static_cast<ptrdiff_t>(program.parameters()));

  const size_t width = spec.gpt.token_bytes;
  const auto token = [&](size_t i) {
    return width == 1 ? tokens[i] : uint32_t{tokens[2 * i]} | uint32_t{tokens[2 * i + 1]} << 8;
  };
  constexpr size_t kSequences = 4;
  double sum = 0;
  for (size_t sequence = 0; sequence < kSequences; ++sequence) {
    GptForward forward(program, theta);
    for (size_t p = 0; p < spec.gpt.context; ++p) {
      const size_t at = sequence * spec.gpt.context + p;
      sum += nll(forward.next(token(at)), token(at + 1));
    }
  }
  const size_t count = kSequences * spec.gpt.context;
  const auto part = ByteView(tokens).first((count + 1) * width);
  const auto evaluation = kernels::evaluate(program, theta, part, 1);
  ASSERT_TRUE(evaluation);
  EXPECT_NEAR(sum / static_cast<double>(count) / evaluation.value().loss, 1, 0.005);
  EXPECT_LT(evaluation.value().loss, 0.97 * std::log(spec.gpt.vocabulary));  // it has learnt
}

TEST(GptForward, HasTheLossThatTheEngineSees) {
  compare_with_engine(testing::toy_gpt());
  compare_with_engine(testing::toy_gpt_tied());
}

TEST(GptForward, ForgetsTheOlderHalfOfAFullContext) {
  const auto program = kernels::Program::make(testing::toy_gpt()).value();
  const uint32_t context = program.spec().gpt.context;
  GptForward long_text(program, program.initial_theta());
  GptForward second_half(program, program.initial_theta());
  for (uint32_t i = 0; i < context; ++i)
    long_text.next(i % 64);
  for (uint32_t i = context / 2; i < context; ++i)
    second_half.next(i % 64);
  const auto a = long_text.next(5);
  const auto b = second_half.next(5);
  EXPECT_TRUE(std::ranges::equal(a, b));
}

TEST(ChooseToken, FollowsTemperatureTopKAndSeed) {
  const std::vector<float> logits = {0, 3, 2, 1};
  EXPECT_EQ(choose_token(logits, {.temperature = 0}, 0), 1U);
  std::set<uint32_t> all;
  std::set<uint32_t> two;
  uint32_t first = 0;
  for (uint32_t i = 0; i < 1000; ++i) {
    all.insert(choose_token(logits, {.temperature = 1, .seed = 9}, i));
    two.insert(choose_token(logits, {.temperature = 1, .top_k = 2, .seed = 9}, i));
    first += choose_token(logits, {.temperature = 1, .seed = 9}, i) == 1 ? 1 : 0;
    EXPECT_EQ(choose_token(logits, {.temperature = 1, .top_k = 1, .seed = 9}, i), 1U);
  }
  EXPECT_EQ(all.size(), 4U);
  EXPECT_EQ(two, (std::set<uint32_t>{1, 2}));
  EXPECT_NEAR(first, 644, 60);  // 1000·e³/(e³ + e² + e + 1)
}

TEST(ChooseToken, SurvivesLogitsThatAreNotFinite) {
  const float nan = std::nanf("");
  const std::vector<float> logits = {nan, INFINITY, 2, -INFINITY};
  for (uint32_t i = 0; i < 100; ++i)
    EXPECT_EQ(choose_token(logits, {.temperature = 1}, i), 2U);
  const std::vector<float> none = {nan, nan};
  EXPECT_LT(choose_token(none, {.temperature = 1}, 0), 2U);
}

}  // namespace
}  // namespace gemmine::miner
