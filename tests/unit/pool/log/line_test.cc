#include "pool/log/line.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

TEST(LogLine, IsTheNameAndItsFields) {
  EXPECT_EQ(log_line({Level::info, "stopping", {}}), "stopping");
  EXPECT_EQ(log_line({Level::info, "share", {{"lease", "00ff"}, {"index", "3"}}}),
            "share lease=00ff index=3");
}

TEST(LogLine, QuotesWhatWouldNotBeOneWord) {
  EXPECT_EQ(log_value("plain/word-1:2"), "plain/word-1:2");
  EXPECT_EQ(log_value(""), "\"\"");
  EXPECT_EQ(log_value("two words"), "\"two words\"");
  EXPECT_EQ(log_value("a=b"), "\"a=b\"");
  EXPECT_EQ(log_value("say \"hi\""), "\"say \\\"hi\\\"\"");
  EXPECT_EQ(log_value("back\\slash"), "\"back\\\\slash\"");
}

TEST(LogLine, StaysOneLineAndSteersNoTerminal) {
  EXPECT_EQ(log_value("one\ntwo"), "one\\ntwo");
  EXPECT_EQ(log_value("one\ntwo three"), "\"one\\ntwo three\"");
  EXPECT_EQ(log_value("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(log_value("模型"), "模型");
}

TEST(LogLine, ShortensIdsToTwelveDigits) {
  Digest id;
  id.bytes[0] = 0xab;
  id.bytes[5] = 0x01;
  EXPECT_EQ(short_hex(id), "ab0000000001");
}

}  // namespace
}  // namespace gemmine::pool
