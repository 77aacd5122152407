#include "kernels/numbers/philox.h"

#include <array>
#include <set>
#include <utility>

#include <gtest/gtest.h>

namespace gemmine::kernels {
namespace {

// Random123's known answers are for other round counts; these are of a plain reading of 1.5.
TEST(Philox, IsTheTextOfTheProtocol) {
  const auto literal = [](uint64_t seed, std::array<uint32_t, 4> c) {
    auto k0 = static_cast<uint32_t>(seed & 0xffffffff);
    auto k1 = static_cast<uint32_t>(seed >> 32);
    for (int i = 0; i < 7; ++i) {
      if (i > 0) k0 += 0x9E3779B9, k1 += 0xBB67AE85;
      const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
      const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
           static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    }
    return c;
  };
  for (uint32_t i = 0; i < 1000; ++i) {
    const uint64_t seed = i * 0x9e3779b97f4a7c15;
    const auto expected = literal(seed, {i, i * 7, i * 77777, ~i});
    const PhiloxWords got = philox(seed, i, i * 7, i * 77777, ~i);
    for (size_t w = 0; w < 4; ++w)
      ASSERT_EQ(got.w[w], expected[w]);
  }
}

TEST(Philox, GivesEveryElementOfATensorItsOwnBits) {
  const StochasticKey key{5, 23, 9};
  for (const uint32_t cols : {1U, 64U, 128U, 130U, 300U}) {
    std::set<std::pair<uint32_t, uint32_t>> places;  // (counter · 4 + word, half)
    for (uint32_t r = 0; r < 3; ++r) {
      for (uint32_t c = 0; c < cols; ++c) {
        const uint32_t g = c / 128;
        const uint32_t h = c % 128 / 64;
        const uint32_t counter = (r * ((cols + 127) / 128) + g) * 16 + c % 16;
        const uint32_t word = philox(5, counter, 23, 9, 0x5352).w[c % 64 / 16];
        ASSERT_EQ(stochastic_u16(key, r, c, cols), h == 0 ? word & 0xffff : word >> 16);
        ASSERT_TRUE(places.insert({counter * 4 + c % 64 / 16, h}).second);
      }
    }
  }
}

}  // namespace
}  // namespace gemmine::kernels
