#include "kernels/base/nearest.h"

#include <vector>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

TEST(EditDistance, CountsSingleCharacterEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("batch", "batsh"), 1U);
  EXPECT_EQ(edit_distance("same", "same"), 0U);
}

TEST(Nearest, IsTheFirstOfTheNearestWords) {
  const std::vector<std::string> words = {"mine", "train", "fine"};
  EXPECT_EQ(nearest("tran", words), "train");
  EXPECT_EQ(nearest("line", words), "mine");
  EXPECT_EQ(nearest("balance", words), "mine") << "far away, yet the nearest";
}

TEST(Nearest, IsEmptyWhereNoWordIsNearEnough) {
  const std::vector<std::string> words = {"mine", "train"};
  EXPECT_EQ(nearest("tran", words, 1), "train");
  EXPECT_EQ(nearest("balance", words, 3), "");
  EXPECT_EQ(nearest("x", {}), "");
}

}  // namespace
}  // namespace gemmine
