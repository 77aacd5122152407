#include "kernels/cli/name.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemmine::cli {
namespace {

// Why the words are refused; empty when they are not.
std::string refusal(std::vector<std::string> words) {
  CLI::App app("a tool", "tool");
  std::string out = "default";
  std::vector<std::string> jobs;
  std::string file;
  add_name(app, "--out", out, "a folder");
  add_name(app, "--job", jobs, "files");
  add_name(app, "file", file, "a file");
  std::ranges::reverse(words);  // as CLI11 takes them
  try {                         // boundary: CLI11 throws
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(Name, IsNeverEmpty) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({"--out", "a b", "--job", "x", "--job", "y", "f"}), "");
  EXPECT_THAT(refusal({"--out", ""}), testing::HasSubstr("--out: is empty"));
  EXPECT_THAT(refusal({"--job", "x", "--job", ""}), testing::HasSubstr("--job: is empty"));
  EXPECT_THAT(refusal({""}), testing::HasSubstr("file: is empty"));
}

}  // namespace
}  // namespace gemmine::cli
