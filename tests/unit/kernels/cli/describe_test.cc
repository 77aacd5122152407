#include "kernels/cli/describe.h"

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "kernels/cli/name.h"
#include "kernels/cli/number.h"

namespace gemmine::cli {
namespace {

TEST(Describe, SaysWhatEveryCommandTakes) {
  CLI::App app("about", "tool");
  CLI::App* const group = app.add_subcommand("file", "files");
  CLI::App* const check = group->add_subcommand("check", "look");
  check->footer("Example:\n  tool file check x");
  std::string name;
  std::vector<std::string> pools;
  uint32_t threads = 2;
  bool loud = false;
  add_name(*check, "FILE", name, "a file")->required();
  add_name(*check, "--pool", pools, "where");
  add_number(*check, "--threads", threads, {1, 8}, "how many");
  check->add_flag("-l,--loud", loud, "in capitals");

  const auto parsed = Json::parse(R"({
    "name": "tool", "help": "about", "footer": "",
    "options": [{"names": ["-h", "--help"], "help": "Print this help message and exit",
                 "value": "", "default": "", "required": false, "repeated": false}],
    "commands": [{"name": "file", "help": "files", "footer": "",
      "options": [{"names": ["-h", "--help"], "help": "Print this help message and exit",
                   "value": "", "default": "", "required": false, "repeated": false}],
      "commands": [{"name": "check", "help": "look", "footer": "Example:\n  tool file check x",
        "options": [
          {"names": ["-h", "--help"], "help": "Print this help message and exit",
           "value": "", "default": "", "required": false, "repeated": false},
          {"names": ["FILE"], "help": "a file",
           "value": "TEXT", "default": "", "required": true, "repeated": false},
          {"names": ["--pool"], "help": "where",
           "value": "TEXT", "default": "", "required": false, "repeated": true},
          {"names": ["--threads"], "help": "how many",
           "value": "NUMBER:from 1 to 8", "default": "2", "required": false, "repeated": false},
          {"names": ["-l", "--loud"], "help": "in capitals",
           "value": "", "default": "", "required": false, "repeated": false}],
        "commands": []}]}]})",
                                  16);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(describe(app).dump(1), parsed.value().dump(1));
}

}  // namespace
}  // namespace gemmine::cli
