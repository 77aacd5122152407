// Sheets against the Python reference, and what is refused of one.
#include "verifier/records/sheet.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/base/fields.h"
#include "tests/support/golden.h"

namespace gemmine::verifier {
namespace {

const std::vector<uint32_t> kWidths = {37, 48, 24, 10};

double f64(const test::Golden& golden, const std::string& key, size_t i) {
  const Bytes bytes = golden.bytes(key, i);
  return std::bit_cast<double>(Reader(bytes).get<uint64_t>());
}

std::vector<double> values_of(const test::Golden& golden, const std::string& key) {
  std::vector<double> out;
  for (size_t i = 0; i < golden.count(key + " values"); ++i) {
    const bool there = !golden.has(key + " present") || golden.integer(key + " present", i) == 1;
    out.push_back(there ? f64(golden, key + " values", i) : std::nan(""));
  }
  return out;
}

void gives_the_bytes(const test::Golden& golden, const std::string& key, const Scaling& scaling) {
  const std::vector<double> values = values_of(golden, key);
  for (size_t i = 0; i < values.size(); ++i) {
    const int byte = std::isnan(values[i]) ? kMissingByte : scaling.to_byte(values[i]);
    EXPECT_EQ(byte, golden.integer(key + " bytes", i)) << key << " " << i;
  }
}

Sheet toy() {
  const test::Golden golden("sheets");
  return decode_sheet(golden.bytes("sheet toy"), kWidths).value();
}

bool refused(const Sheet& sheet, Errc code) {
  const auto result = decode_sheet(encode(sheet), kWidths);
  return !result.ok() && result.error().code == code;
}

TEST(Sheet, StandardisesAsTheReferenceDoes) {
  const test::Golden golden("sheets");
  for (int i = 0; i < 7; ++i) {
    const std::string key = "standardised " + std::to_string(i);
    const auto scaling = standardise(values_of(golden, key));
    ASSERT_TRUE(scaling.ok()) << i;
    EXPECT_EQ(scaling.value().offset, f64(golden, key + " scaling", 0)) << i;
    EXPECT_EQ(scaling.value().factor, f64(golden, key + " scaling", 1)) << i;
    gives_the_bytes(golden, key, scaling.value());
  }
}

TEST(Sheet, ScalesAsAWholeAsTheReferenceDoes) {
  const test::Golden golden("sheets");
  for (const char* name : {"bytes", "one", "unit", "equal", "wide"}) {
    const std::string key = std::string("whole ") + name;
    const auto whole = scale_whole(values_of(golden, key));
    ASSERT_TRUE(whole.ok()) << name;
    const bool scaled = golden.count(key + " scaling") > 1;
    ASSERT_EQ(whole.value().scalings.size(), scaled ? 1U : 0U) << name;
    const Scaling scaling = scaled ? whole.value().scalings.front() : Scaling{};
    if (scaled) {
      EXPECT_EQ(scaling.offset, f64(golden, key + " scaling", 0)) << name;
      EXPECT_EQ(scaling.factor, f64(golden, key + " scaling", 1)) << name;
    }
    gives_the_bytes(golden, key, scaling);
    const Bytes scale = golden.bytes(key + " features", 0);
    const Bytes shift = golden.bytes(key + " features", 1);
    EXPECT_EQ(whole.value().feature_scale, Reader(scale).get_f32()) << name;
    EXPECT_EQ(whole.value().feature_shift, Reader(shift).get_f32()) << name;
  }
}

TEST(Sheet, RoundsTiesToEvenAndClips) {
  gives_the_bytes(test::Golden("sheets"), "ties", {.offset = 0, .factor = 0.5});
}

TEST(Sheet, IsTheBytesThatTheReferenceWrites) {
  const test::Golden golden("sheets");
  EXPECT_EQ(encode(toy()), golden.bytes("sheet toy"));
  EXPECT_EQ(toy().classes.front().text, "großer Käfer");
  EXPECT_TRUE(decode_sheet(golden.bytes("sheet bare"), {4, 2}).ok());
}

TEST(Sheet, RefusesEveryTruncationAndTrailingBytes) {
  Bytes bytes = encode(toy());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode_sheet(ByteView(bytes).first(size), kWidths);
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, Errc::malformed) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_sheet(bytes, kWidths).ok());
}

TEST(Sheet, RefusesWhatDoesNotFitTheJob) {
  EXPECT_FALSE(decode_sheet(encode(toy()), {36, 10}).ok());
  EXPECT_FALSE(decode_sheet(encode(toy()), {37, 9}).ok());
  Sheet sheet = toy();
  sheet.scalings.resize(2);
  EXPECT_TRUE(refused(sheet, Errc::invalid));
  sheet = toy();
  sheet.names.pop_back();
  EXPECT_TRUE(refused(sheet, Errc::invalid));
  sheet = toy();
  sheet.scalings[3].factor = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(refused(sheet, Errc::invalid));
  sheet = toy();
  sheet.scalings[3].offset = std::nan("");
  EXPECT_TRUE(refused(sheet, Errc::invalid));
}

TEST(Sheet, RefusesNamesThatSteerATerminal) {
  for (const char* bad : {"a\x1b[2J", "a\nb", "\xff", "\xef\xbb\xbfx"}) {
    Sheet sheet = toy();
    sheet.classes[1].text = bad;
    EXPECT_TRUE(refused(sheet, Errc::malformed)) << bad;
  }
  Sheet sheet = toy();
  sheet.label.text = std::string(kSheetNameBytesMax + 1, 'x');
  EXPECT_TRUE(refused(sheet, Errc::malformed));
}

TEST(Sheet, RefusesValuesThatNoScalingFits) {
  const std::vector<double> none(3, std::nan(""));
  EXPECT_FALSE(standardise(none).ok());
  EXPECT_FALSE(standardise(std::vector<double>{1e300, -1e300}).ok());
  EXPECT_FALSE(scale_whole(std::vector<double>{1.7e308, -1.7e308}).ok());
}

}  // namespace
}  // namespace gemmine::verifier
