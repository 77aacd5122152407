#include "kernels/cli/number.h"

#include <cstdint>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace gemmine::cli {
namespace {

template <class T>
bool is_number(const std::string& text, NumberRange<T> range) {
  T value{};
  return read_number(text, range, value).empty();
}

TEST(Number, TakesNumbersOfTheRange) {
  uint32_t count = 0;
  EXPECT_EQ(read_number<uint32_t>("1024", {0, 1024}, count), "");
  EXPECT_EQ(count, 1024U);
  double rate = 0;
  EXPECT_EQ(read_number<double>("0.25", {0, 1}, rate), "");
  EXPECT_EQ(rate, 0.25);
  EXPECT_EQ(read_number<double>("1e-3", {0, 1}, rate), "");
  EXPECT_EQ(rate, 0.001);
  uint64_t large = 0;
  EXPECT_EQ(read_number<uint64_t>("18446744073709551615", {}, large), "");
  EXPECT_EQ(large, UINT64_MAX);
}

TEST(Number, RefusesWhatIsNone) {
  for (const char* text : {"", " ", "nan", "-nan", "inf", "infinity", "1e999", "-1", "+1", "7x",
                           " 7", "7 ", "0x10", "true", "1,5", "--", "1e", "."}) {
    EXPECT_FALSE(is_number<float>(text, {0, 100})) << text;
    EXPECT_FALSE(is_number<double>(text, {0, 100})) << text;
    EXPECT_FALSE(is_number<int>(text, {0, 100})) << text;
    EXPECT_FALSE(is_number<uint32_t>(text, {0, 100})) << text;
    EXPECT_FALSE(is_number<uint64_t>(text, {})) << text;
  }
  EXPECT_FALSE(is_number<uint32_t>("1.5", {})) << "a fraction is no count";
  EXPECT_FALSE(is_number<uint32_t>("4294967296", {}));
  EXPECT_FALSE(is_number<uint64_t>("18446744073709551616", {}));
  EXPECT_FALSE(is_number<int>("101", {0, 100}));
}

TEST(Number, SaysWhatWasExpected) {
  double rate = 0.5;
  EXPECT_EQ(read_number<double>("nan", {0, 1}, rate), "'nan' is no number from 0 to 1");
  EXPECT_EQ(rate, 0.5) << "a refusal leaves the value alone";
  uint64_t fund = 0;
  EXPECT_EQ(read_number<uint64_t>("-5", {}, fund), "'-5' is no whole number from 0");
}

TEST(Number, StandsBehindAnOption) {
  CLI::App app;
  uint32_t rounds = 3;
  std::optional<uint32_t> seconds;
  add_number(app, "--rounds", rounds, {0, 9}, "how many");
  add_number(app, "--seconds", seconds, {0, 9}, "how long");
  app.parse("");
  EXPECT_EQ(rounds, 3U);
  EXPECT_FALSE(seconds);
  app.parse("--rounds 7 --seconds=0");
  EXPECT_EQ(rounds, 7U);
  EXPECT_EQ(seconds, 0U);
  EXPECT_THROW(app.parse("--rounds 10"), CLI::ValidationError);
  EXPECT_THROW(app.parse("--rounds -1"), CLI::ParseError);
  EXPECT_NE(app.help().find("NUMBER"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::cli
