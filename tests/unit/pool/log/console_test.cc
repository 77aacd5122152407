// What the console really writes: gtest hands stderr to a file, which is no terminal.
#include "pool/log/console.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

using testing::MatchesRegex;

std::string written(Level least, const std::vector<Event>& events) {
  testing::internal::CaptureStderr();
  {
    Console console(least);
    for (const Event& event : events)
      console.write(event);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Console, WritesTimeLevelNameAndFieldsWithoutColour) {
  const std::string stamp = "[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+Z ";
  EXPECT_THAT(written(Level::info, {{Level::info, "listening", {{"port", "4400"}}}}),
              MatchesRegex(stamp + "info listening port=4400\n"));
  EXPECT_THAT(written(Level::info, {{Level::error, "end", {{"reason", "disk full"}}}}),
              MatchesRegex(stamp + "error end reason=\"disk full\"\n"));
}

TEST(Console, TakesNoPercentOrBraceForAFormat) {
  EXPECT_THAT(written(Level::info, {{Level::info, "x", {{"text", "100%s{}%n"}}}}),
              testing::HasSubstr("text=100%s{}%n\n"));
}

TEST(Console, ShowsWhatIsLoudEnough) {
  EXPECT_EQ(written(Level::info, {{Level::debug, "no_lease", {}}}), "");
  EXPECT_THAT(written(Level::debug, {{Level::debug, "no_lease", {}}}),
              testing::HasSubstr(" debug no_lease\n"));
  EXPECT_EQ(written(Level::error, {{Level::warning, "banned", {}}}), "");
}

TEST(Console, TellsOfProgressAtOnceAndAtTheEndWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  {
    Console console;
    console.progress("training", 1, 4);
    console.progress("training", 2, 4);
    console.progress("training", 4, 4);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::HasSubstr(" info progress what=training percent=25\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("percent=50")));
  EXPECT_THAT(text, testing::HasSubstr(" info progress what=training percent=100\n"));
}

}  // namespace
}  // namespace gemmine::pool
