#include "kernels/base/shell_word.h"

#include <gtest/gtest.h>

namespace gemmine {
namespace {

TEST(ShellWord, QuotesOnlyWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_word("/tmp/a-b_1.st"), "/tmp/a-b_1.st");
  EXPECT_EQ(shell_word("own data/j.toml"), "'own data/j.toml'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("$HOME"), "'$HOME'");
  EXPECT_EQ(shell_word("größe"), "'größe'");
  EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace gemmine
