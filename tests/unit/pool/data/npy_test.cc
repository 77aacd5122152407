#include "pool/data/npy.h"

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

TEST(Npy, RefusesOtherTypesOrdersAndShapes) {
  EXPECT_NE(read_npy(npy("<f4", "(1,)", "1234")).find("elements of type '<f4'; whole numbers"),
            std::string::npos);
  EXPECT_NE(read_npy(npy(">u2", "(1,)", "12")).find("elements of type"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(1,)", "1", "True")).find("ascontiguousarray"), std::string::npos);
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

TEST(Npy, SaysToScaleRealNumbersFirst) {
  EXPECT_NE(read_npy(npy("<f4", "(1,)", "1234")).find("0 ... 255"), std::string::npos);
  EXPECT_EQ(read_npy(npy("<c8", "(1,)", "12345678")).find("0 ... 255"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
