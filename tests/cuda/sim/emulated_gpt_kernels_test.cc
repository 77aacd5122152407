// Single kernels of the gpt at sizes that whole emulated steps do not reach.
#include <algorithm>

#include "kernels/numbers/rows.h"
#include "tests/cuda/sim/emulated_test.h"

namespace gemmine::test {
namespace {

namespace cuda = kernels::cuda;
namespace kernel = cuda::kernel;
using EmulatedGptKernel = EmulatedTest;

std::vector<float> random_floats(size_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<float> out(count);
  for (float& value : out)
    value = static_cast<float>(bits() >> 40) * 0x1p-20F - 8.0F;
  return out;
}

// More rows than token_gradient looks through at once, and a token that none has.
TEST_F(EmulatedGptKernel, TokenGradientsGoOnBeyondOneLook) {
  constexpr uint32_t kRows = 2 * cuda::kTokenRows + 48;
  constexpr uint32_t kCols = 70;
  constexpr uint32_t kTokens = 4;
  const std::vector<float> d_residual = random_floats(kRows * kCols, 1);
  std::vector<uint32_t> inputs(kRows);
  for (uint32_t t = 0; t < kRows; ++t)
    inputs[t] = t * t % 3;
  for (const uint32_t tied : {0U, 1U}) {
    const std::vector<float> before = random_floats(kTokens * kCols, 2);
    std::vector<float> want(kTokens * kCols, 0.0F);
    for (uint32_t i = 0; i < kRows * kCols; ++i)
      want[inputs[i / kCols] * kCols + i % kCols] += d_residual[i];
    for (uint32_t i = 0; tied != 0 && i < want.size(); ++i)
      want[i] = before[i] + want[i];
    for (const cudasim::Schedule& schedule : schedules()) {
      emulated_device().schedule = schedule;
      std::vector<float> got = before;
      EXPECT_EQ(
          cuda::launch<kernel::TokenGradient>(emulated_api(), nullptr, {kTokens}, inputs.data(),
                                              kRows, kCols, d_residual.data(), tied, got.data()),
          cuda::DeviceStatus::ok);
      EXPECT_EQ(got, want);
    }
  }
}

// As many groups of logits as there may be, and the last one short.
TEST_F(EmulatedGptKernel, LossGoesThroughEveryGroup) {
  constexpr uint32_t kClasses = kernels::kVocabularyMax - 100;
  constexpr uint32_t kGroups = (kClasses + kernels::kLossGroup - 1) / kernels::kLossGroup;
  const uint32_t target = kClasses - 3;
  const float inv_t = 0.25F;
  const std::vector<float> z = random_floats(kClasses, 3);
  const float max = *std::max_element(z.begin(), z.end());
  std::vector<float> e(kClasses);
  std::transform(z.begin(), z.end(), e.begin(), [&](float x) { return kernels::gn_exp(x - max); });
  float total = 0.0F;
  std::vector<float> mu(kGroups);
  std::vector<float> zeta(kGroups);
  for (uint32_t g = 0; g < kGroups; ++g) {
    const uint32_t first = g * kernels::kLossGroup;
    const uint32_t count = std::min(kernels::kLossGroup, kClasses - first);
    mu[g] = *std::max_element(&z[first], &z[first] + count);
    zeta[g] = kernels::rowsum(&e[first], count);
    total += zeta[g];
  }
  std::vector<float> dz = z;
  std::vector<float> got_mu(kGroups);
  std::vector<float> got_zeta(kGroups);
  float nll = 0;
  uint32_t flag = 0;
  EXPECT_EQ(
      cuda::launch<kernel::LossLogits>(emulated_api(), nullptr, {1}, dz.data(), kClasses, &target,
                                       inv_t, got_mu.data(), got_zeta.data(), &nll, &flag, 2U, 1U),
      cuda::DeviceStatus::ok);
  EXPECT_EQ(flag, 0U);
  EXPECT_EQ(got_mu, mu);
  EXPECT_EQ(got_zeta, zeta);
  EXPECT_EQ(nll, kernels::gn_log(total) - (z[target] - max));
  for (uint32_t c = 0; c < kClasses; ++c)
    ASSERT_EQ(dz[c], kernels::logit_gradient(z[c], max, total, c == target, inv_t)) << c;
}

// PROTOCOL 10.8: a score that is not a number, where no maximum shows it.
TEST_F(EmulatedGptKernel, AttentionLooksAtEveryScore) {
  constexpr uint32_t kContext = 16;
  const Int8Matrix rows(kContext, 16);  // zeros
  const Int8Matrix transposed(16, kContext);
  const std::vector<float> sv(16, 1.0F);
  for (const float huge : {1.0F, 3e38F}) {
    std::vector<float> sq(kContext, 1.0F);
    std::vector<float> sk(kContext, 1.0F);
    sq[7] = sk[3] = huge;  // S_73 = 0 · (sq_7 · sk_3)
    std::vector<float> row_max(kContext, -1.0F);
    std::vector<float> row_sum(kContext);
    std::vector<float> mixed(kContext * 16);
    cuda::HeadOperands operands{};
    operands.q = operands.k = rows.bytes.data();
    operands.v_transposed = transposed.bytes.data();
    operands.sq = sq.data();
    operands.sk = sk.data();
    operands.sv = sv.data();
    operands.row_max = row_max.data();
    operands.row_sum = row_sum.data();
    uint32_t flag = 0;
    EXPECT_EQ(
        cuda::launch<kernel::AttentionForward>(
            emulated_api(), nullptr, {1}, cuda::HeadShape{kContext, 1, 16, rows.ld, transposed.ld},
            operands, mixed.data(), &flag, 5U),
        cuda::DeviceStatus::ok);
    EXPECT_EQ(flag, huge == 1.0F ? 0U : 5U);
    if (huge != 1.0F) continue;
    EXPECT_EQ(row_max, std::vector<float>(kContext, 0.0F));
    for (uint32_t i = 0; i < kContext; ++i)
      EXPECT_EQ(row_sum[i], 63.0F * static_cast<float>(i + 1));
  }
}

}  // namespace
}  // namespace gemmine::test
