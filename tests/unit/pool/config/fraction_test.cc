#include "pool/config/fraction.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

uint64_t part(std::string_view text, uint64_t count) {
  const auto fraction = Fraction::parse(text);
  EXPECT_TRUE(fraction) << text;
  return fraction ? fraction->of(count) : UINT64_MAX;
}

TEST(Fraction, IsExact) {
  EXPECT_EQ(part("0.01", 100), 1U);
  EXPECT_EQ(part("0.7", 100), 70U);
  for (uint64_t percent = 1; percent < 100; ++percent) {
    std::string text = percent < 10 ? "0.0" : "0.";
    text += std::to_string(percent);
    for (const uint64_t count : {1UL, 7UL, 100UL, 1'000UL, 60'000UL, 4'294'967'295UL})
      EXPECT_EQ(part(text, count), count * percent / 100) << text;
  }
  EXPECT_EQ(part("0.999999999999999999", UINT64_MAX), 18446744073709551596U);
  EXPECT_EQ(part("0.000000000000000001", 1'000'000'000'000'000'000U), 1U);
}

TEST(Fraction, ReadsWhatTomlWrites) {
  for (const char* text : {"0.25", "+0.25", "25e-2", "2.5E-1", "0.2_5", "0.250000000000000000000",
                           "0.0025e+2", "0.00_25e2"}) {
    EXPECT_EQ(part(text, 100), 25U) << text;
    EXPECT_EQ(part(text, 3), 0U) << text;
  }
}

TEST(Fraction, RefusesWhatIsNoPart) {
  for (const char* text : {"",
                           "0",
                           "0.0",
                           "1",
                           "1.0",
                           "1e0",
                           "10e-1",
                           "-0.1",
                           "1.5",
                           "nan",
                           "inf",
                           "0x1",
                           "0.1f",
                           "0,1",
                           "0.0000000000000000001",
                           "1e-999999999999",
                           ".",
                           "e",
                           "1e",
                           "0.1e",
                           "1e-2000"})
    EXPECT_FALSE(Fraction::parse(text)) << text;
}

}  // namespace
}  // namespace gemmine::pool
