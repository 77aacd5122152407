#include "pool/data/npy.h"

#include <cstdio>

#include <gtest/gtest.h>

#include "tests/unit/pool/data/npy_file.h"

namespace gemmine::pool {
namespace {

// All elements, or what is wrong.
std::string read_npy(const std::string& file, uint64_t bytes_max = 1 << 20) {
  auto opened = NpyReader::open(
      ByteStream::over(as_bytes(std::string_view(file)).subspan(6), "f", 1 << 20), bytes_max);
  if (!opened) return opened.error().detail;
  std::string out;
  while (true) {
    const auto run = opened.value().next();
    if (!run) return run.error().detail;
    if (run.value().empty()) return out;
    for (const int64_t value : run.value())
      out += std::to_string(value) + " ";
  }
}

TEST(Npy, ReadsWholeNumbersOfEverySize) {
  EXPECT_EQ(read_npy(npy("|u1", "(2, 2)", "\x01\x02\xff\x04")), "1 2 255 4 ");
  EXPECT_EQ(read_npy(npy("|i1", "(1,)", "\xff")), "-1 ");
  EXPECT_EQ(read_npy(npy("<u2", "(2,)", {"\x01\x02\xff\xff", 4})), "513 65535 ");
  EXPECT_EQ(read_npy(npy("<i4", "(1,)", {"\xfe\xff\xff\xff", 4})), "-2 ");
  EXPECT_EQ(read_npy(npy("<i8", "(1,)", {"\x05\0\0\0\0\0\0\0", 8})), "5 ");
}

// All elements as doubles.
std::string read_reals(const std::string& file) {
  auto opened = NpyReader::open(
      ByteStream::over(as_bytes(std::string_view(file)).subspan(6), "f", 1 << 20), 1 << 20);
  if (!opened) return opened.error().detail;
  std::string out;
  while (true) {
    const auto run = opened.value().next_reals();
    if (!run) return run.error().detail;
    if (run.value().empty()) return out;
    for (const double value : run.value()) {
      char text[32];
      std::snprintf(text, sizeof text, "%.10g ", value);
      out += text;
    }
  }
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  std::string out;
  for (const T value : values)
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}

TEST(Npy, ReadsRealNumbersOfEverySize) {
  EXPECT_EQ(read_reals(npy("<f4", "(3,)", raw<float>({1.5F, -0.25F, 3e38F}))),
            "1.5 -0.25 3.000000005e+38 ");
  EXPECT_EQ(read_reals(npy("<f8", "(2,)", raw<double>({1e-300, -7}))), "1e-300 -7 ");
  EXPECT_EQ(read_reals(npy("<f2", "(6,)",
                           raw<uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x3555}))),
            "1 -2 5.960464478e-08 65504 inf 0.3332519531 ");
  EXPECT_EQ(read_reals(npy("|b1", "(2,)", raw<uint8_t>({1, 0}))), "1 0 ");
  EXPECT_EQ(read_reals(npy("<i2", "(1,)", raw<int16_t>({-5}))), "-5 ");
  EXPECT_EQ(read_reals(npy("<u8", "(1,)", raw<uint64_t>({UINT64_MAX}))), "1.844674407e+19 ");
}

TEST(Npy, ReadsTheOtherByteOrder) {
  EXPECT_EQ(read_npy(npy(">u2", "(2,)", {"\x02\x01\0\x05", 4})), "513 5 ");
  EXPECT_EQ(read_reals(npy(">f4", "(1,)", {"\x3f\xc0\0\0", 4})), "1.5 ");
}

TEST(Npy, RefusesOtherTypesOrdersAndShapes) {
  for (const char* type : {"<f1", "<c8", "<U4", "|O", "<u3", "|b2", "~u1", "u1"})
    EXPECT_NE(read_npy(npy(type, "(1,)", "12345678")).find("elements of type"), std::string::npos)
        << type;
  EXPECT_NE(read_npy(npy("|u1", "(1,)", "1", "None")).find("no .npy header"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "()", "1")).find("single number"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(0,)", "")).find("gives 0"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(4294967296, 4294967296, 4294967296)", "")).find("or more than"),
            std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(3, x)", "")).find("the shape as (3, x)"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "3", "123")).find("the shape as 3"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(3,)", "123"), 2).find("more than 2 bytes"), std::string::npos);
}

TEST(Npy, RefusesEveryTruncationTrailingBytesAndAHugeHeader) {
  const std::string whole = npy("<u2", "(3,)", "123456");
  for (size_t size = 6; size < whole.size(); ++size)
    EXPECT_EQ(read_npy(whole.substr(0, size)).find("f: "), 0U) << size;
  EXPECT_NE(read_npy(whole + "7").find("gives 6 bytes, and the file has more"), std::string::npos);
  const std::string huge = std::string(kNpyMagic) + std::string("\x02\x00\xff\xff\xff\x7f", 6);
  EXPECT_NE(read_npy(huge).find("a .npy header of 2147483647 bytes"), std::string::npos);
  EXPECT_NE(read_npy(std::string(kNpyMagic) + "\x09").find("cut short"), std::string::npos);
  EXPECT_NE(read_npy(std::string(kNpyMagic) + std::string("\x09\x00", 2)).find("version 9"),
            std::string::npos);
}

TEST(Npy, ReadsLongsOfPython2AndNamesWhatIsNoShape) {
  EXPECT_EQ(read_npy(npy("|u1", "(2L, 2L)", "\x01\x02\x03\x04")), "1 2 3 4 ");
  EXPECT_EQ(read_npy(npy("|u1", "(4L,)", "\x01\x02\x03\x04")), "1 2 3 4 ");
  EXPECT_NE(read_npy(npy("|u1", "(np.int64(2), np.int64(2))", "1234"))
                .find("the shape as (np.int64(2), np.int64(2)), which is no list"),
            std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(2LL,)", "12")).find("the shape as (2LL,)"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(2 2)", "1234")).find("the shape as (2 2)"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(-2,)", "12")).find("the shape as (-2,)"), std::string::npos);
}

TEST(Npy, ShowsNothingThatATerminalObeys) {
  const std::string bad = read_npy(npy("|O\x1b[2J", "(1,)", "1"));
  EXPECT_EQ(bad.find('\x1b'), std::string::npos) << bad;
  EXPECT_EQ(read_npy(npy("|u1", "(\x1b[2J,)", "1")).find('\x1b'), std::string::npos);
}

TEST(Npy, TakesNoMemoryForWhatTheFileCannotHold) {
  EXPECT_NE(read_npy(npy("<i8", "(100000,)", "12345678")).find("and the file has fewer"),
            std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
