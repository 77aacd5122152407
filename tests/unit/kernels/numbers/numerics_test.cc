#include "kernels/numbers/numerics.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace gemmine::kernels {
namespace {

using Floats = std::vector<float>;

double ulp_of(double x) {
  const auto f = static_cast<float>(std::fabs(x));
  return static_cast<double>(std::nextafter(f, INFINITY)) - static_cast<double>(f);
}

Floats random_floats(size_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  Floats out(count);
  for (float& x : out) {
    const auto u = static_cast<float>(static_cast<int32_t>(generator()));
    x = u * (generator() % 2 == 0 ? 0x1p-31F : 0x1p-40F);
  }
  return out;
}

TEST(Numerics, RoundsToNearestTiesToEven) {
  EXPECT_EQ(rni(0.5F), 0);
  EXPECT_EQ(rni(1.5F), 2);
  EXPECT_EQ(rni(2.5F), 2);
  EXPECT_EQ(rni(-0.5F), 0);
  EXPECT_EQ(rni(-1.5F), -2);
  EXPECT_EQ(rni(-0.0F), 0);
  EXPECT_EQ(rni(4194303.0F), 4194303);
  EXPECT_EQ(rni(-4194303.0F), -4194303);
  for (float x = -4100.0F; x < 4100.0F; x += 0.125F)
    ASSERT_EQ(rni(x), static_cast<int32_t>(std::nearbyint(x))) << x;
}

TEST(Numerics, ScaleIsZeroUpToItsThresholdAndExactAbove) {
  EXPECT_EQ(scale_of(bits_of(0x1p-100F)).s, 0.0F);
  EXPECT_EQ(scale_of(bits_of(0x1p-100F)).inv, 0.0F);
  EXPECT_EQ(scale_of(0).inv, 0.0F);
  const Scale above = scale_of(bits_of(0x1p-100F) + 1);
  EXPECT_GT(above.s, 0.0F);
  EXPECT_TRUE(std::isfinite(above.inv));
  EXPECT_EQ(scale_of(bits_of(63.0F)).s, 1.0F);
  EXPECT_TRUE(std::isfinite(scale_of(kNotFinite - 1).s));
}

TEST(Numerics, TheLargestOfAGroupBecomes63) {
  for (const float v : random_floats(20000, 1)) {
    const Scale scale = scale_of(magnitude(v));
    ASSERT_EQ(std::abs(round_nearest(v, scale.inv)), 63) << v;
    const int8_t low = round_stochastic(v, scale.inv, 0);
    const int8_t high = round_stochastic(v, scale.inv, 0xffff);
    ASSERT_TRUE(std::abs(low) >= 62 && std::abs(high) >= 62 && high - low <= 1) << v;
  }
}

TEST(Numerics, StochasticRoundingIsTheFractionOfTheBits) {
  const float v = 0x1.4p+1F;  // 2.5
  int up = 0;
  for (uint32_t u = 0; u < 65536; ++u) {
    const int8_t q = round_stochastic(v, 1.0F, u);
    ASSERT_TRUE(q == 2 || q == 3);
    up += q == 3 ? 1 : 0;
    ASSERT_EQ(round_stochastic(-2.0F, 1.0F, u), -2);
    ASSERT_EQ(round_stochastic(v, 0.0F, u), 0);
  }
  EXPECT_EQ(up, 32768);
}

TEST(Numerics, ClampsWhatRoundsPast63) {
  EXPECT_EQ(round_nearest(64.0F, 1.0F), 63);
  EXPECT_EQ(round_nearest(-70.0F, 1.0F), -63);
  EXPECT_EQ(round_stochastic(63.5F, 1.0F, 0xffff), 63);
  EXPECT_EQ(round_stochastic(-63.9F, 1.0F, 0), -63);
}

TEST(Numerics, ExpIsWithin1UlpOfTheTrueOne) {
  double worst = 0;
  for (float x = -87.0F; x <= 88.0F; x += 0.00037F) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::fabs(gn_exp(x) - exact) / ulp_of(exact));
  }
  EXPECT_LT(worst, 1.0);
  EXPECT_EQ(gn_exp(0.0F), 1.0F);
  EXPECT_EQ(gn_exp(-0.0F), 1.0F);
  EXPECT_EQ(gn_exp(-1000.0F), gn_exp(-87.0F));
  EXPECT_EQ(gn_exp(1000.0F), gn_exp(88.0F));
  EXPECT_TRUE(std::isfinite(gn_exp(88.0F)));
}

TEST(Numerics, LogIsWithin1UlpOfTheTrueOne) {
  double worst = 0;
  for (uint32_t bits = 0x00800000; bits < kNotFinite - 4099; bits += 4099) {
    const float x = float_of(bits);
    const double exact = std::log(static_cast<double>(x));
    worst = std::max(worst, std::fabs(gn_log(x) - exact) / ulp_of(exact));
  }
  EXPECT_LT(worst, 1.0);
  EXPECT_EQ(gn_log(1.0F), 0.0F);
}

// PROTOCOL 2.8, letter by letter.
float literal_rowsum(const Floats& x) {
  float lane[32] = {};
  for (size_t i = 0; i < x.size(); ++i)
    lane[i % 32] += x[i];
  for (const size_t s : {16, 8, 4, 2, 1}) {
    for (size_t l = 0; l < s; ++l)
      lane[l] += lane[l + s];
  }
  return lane[0];
}

TEST(Numerics, RowsumIsTheLiteralDefinition) {
  for (const size_t count : {0, 1, 2, 10, 31, 32, 33, 64, 100, 256, 1000, 4096}) {
    const Floats x = random_floats(count, static_cast<uint32_t>(count));
    ASSERT_EQ(bits_of(rowsum(x.data(), count)), bits_of(literal_rowsum(x))) << count;
  }
}

TEST(Numerics, LongsumRecursesOverBlocks) {
  for (const size_t count : {4096, 4097, 8192, 65536, 4096 * 4096 + 5}) {
    const Floats x = random_floats(count, static_cast<uint32_t>(count));
    Floats level = x;
    while (level.size() > 4096) {
      Floats sums;
      for (size_t i = 0; i < level.size(); i += 4096)
        sums.push_back(literal_rowsum(
            {level.begin() + static_cast<ptrdiff_t>(i),
             level.begin() + static_cast<ptrdiff_t>(std::min(i + 4096, level.size()))}));
      level = sums;
    }
    ASSERT_EQ(bits_of(longsum(x.data(), count)), bits_of(literal_rowsum(level))) << count;
  }
}

TEST(Numerics, ColsumAddsRunsOf32) {
  for (const size_t rows : {1, 31, 32, 33, 64, 65, 200}) {
    const Floats x = random_floats(rows * 3, static_cast<uint32_t>(rows));
    for (size_t c = 0; c < 3; ++c) {
      float acc = 0;
      float p = 0;
      for (size_t t = 0; t < rows; ++t) {
        p += x[t * 3 + c];
        if (t % 32 == 31 || t + 1 == rows) {
          acc += p;
          p = 0;
        }
      }
      ASSERT_EQ(bits_of(colsum(&x[c], rows, 3)), bits_of(acc)) << rows;
    }
  }
}

TEST(Numerics, SumsOfNegativeZerosArePositiveZero) {
  const Floats x(40, -0.0F);
  EXPECT_EQ(bits_of(rowsum(x.data(), x.size())), 0U);
  EXPECT_EQ(bits_of(colsum(x.data(), x.size(), 1)), 0U);
}

}  // namespace
}  // namespace gemmine::kernels
