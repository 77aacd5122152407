#include "kernels/base/progress_bar.h"

#include <gtest/gtest.h>

namespace gemmine {
namespace {

TEST(ProgressBar, ShowsThePartThatIsDone) {
  EXPECT_EQ(bar_text("training", 0, 8), "training [" + std::string(30, '.') + "] 0 %");
  EXPECT_EQ(bar_text("training", 4, 8),
            "training [" + std::string(15, '#') + std::string(15, '.') + "] 50 %");
  EXPECT_EQ(bar_text("training", 8, 8), "training [" + std::string(30, '#') + "] 100 %");
}

TEST(ProgressBar, SaysHowMuchWhereNobodyKnowsTheEnd) {
  EXPECT_EQ(bar_text("download", 1234, 0), "download 1234");
}

TEST(ProgressBar, StaysWithinItsWidthWhenMoreIsDoneThanWasToBeDone) {
  EXPECT_EQ(bar_text("x", 9, 8), bar_text("x", 8, 8));
  EXPECT_EQ(bar_text("x", UINT64_MAX, UINT64_MAX), bar_text("x", 1, 1));
}

}  // namespace
}  // namespace gemmine
