#include "pool/data/lines.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

// The lines with a | after each, or what is wrong.
std::string lines(std::string_view text, size_t line_bytes_max = 100) {
  LineReader reader(ByteStream::over(as_bytes(text), "f", 1 << 20), line_bytes_max);
  std::string out;
  while (true) {
    const auto line = reader.next();
    if (!line) return line.error().detail;
    if (!line.value()) return out;
    out.append(*line.value()).append("|");
    EXPECT_EQ(reader.number(), static_cast<uint64_t>(std::ranges::count(out, '|')));
  }
}

TEST(Lines, EndAsEverySystemEndsThem) {
  for (const char* text : {"a\nb\n", "a\r\nb\r\n", "a\rb\r", "a\nb", "a\rb", "a\r\r\nb\r\r\n"})
    EXPECT_EQ(lines(text), "a|b|") << text;
  EXPECT_EQ(lines("\xef\xbb\xbf"
                  "a\n"),
            "a|");
  EXPECT_EQ(lines("a\xef\xbb\xbf\n"), "a\xef\xbb\xbf|");
  EXPECT_EQ(lines(""), "");
  EXPECT_EQ(lines("\xef\xbb\xbf"), "");
}

TEST(Lines, MayBeEmpty) {
  for (const char* text : {"a\n\nb\n", "a\r\n\r\nb", "a\r\rb\r", "a\n\rb"})
    EXPECT_EQ(lines(text), "a||b|") << text;
  EXPECT_EQ(lines("\n"), "|");
}

TEST(Lines, HaveABound) {
  EXPECT_EQ(lines("abc\nd", 3), "abc|d|");
  EXPECT_EQ(lines("a\nabcd\n", 3), "f:2: a line of more than 3 bytes");
}

}  // namespace
}  // namespace gemmine::pool
