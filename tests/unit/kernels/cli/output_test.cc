#include "kernels/cli/output.h"

#include <gtest/gtest.h>

namespace gemmine::cli {
namespace {

std::string printed(const Json& value) {
  testing::internal::CaptureStdout();
  print_json(value);
  return testing::internal::GetCapturedStdout();
}

TEST(Output, PrintsJsonInTheOrderGivenWithEveryNameEscaped) {
  EXPECT_EQ(printed({{"b", 1}, {"a", "say \"hi\" \\ there"}}),
            "{\"b\":1,\"a\":\"say \\\"hi\\\" \\\\ there\"}\n");
  EXPECT_EQ(printed({{"name", "line\nbreak\x01"}}), "{\"name\":\"line\\nbreak\\u0001\"}\n");
  EXPECT_EQ(printed({{"name", "模型"}}), "{\"name\":\"模型\"}\n");
}

TEST(Output, ReplacesBytesThatAreNoUtf8) {
  const std::string text = printed({{"name", "a\xff"}});
  EXPECT_TRUE(Json::parse(text, 8)) << text;
}

TEST(Output, FailsWithASpeakerOrWithThePlaceInAFile) {
  const auto said = [](const std::string& text) {
    testing::internal::CaptureStderr();
    set_speaker("tool say");
    EXPECT_EQ(fail(ExitCode::bad_input, text), ExitCode::bad_input);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said("no such file"), "tool say: no such file\n");
  EXPECT_EQ(said("a.toml:3:1: error: no\n  x\n  ^"), "a.toml:3:1: error: no\n  x\n  ^\n");
  EXPECT_EQ(said("\x1b[2Jboo"), "tool say: \\x1b[2Jboo\n");
}

}  // namespace
}  // namespace gemmine::cli
