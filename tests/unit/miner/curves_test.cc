#include "miner/curves.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gemmine::miner {
namespace {

std::vector<RoundReport> three_rounds() {
  std::vector<RoundReport> out;
  for (uint32_t round = 1; round <= 3; ++round) {
    RoundReport report;
    report.round = round;
    report.loss = 2.0F / static_cast<float>(round);
    report.evaluation = {.correct = 10 * round, .records = 40, .loss = 2.5 / round};
    report.seconds = 0.5;
    out.push_back(report);
  }
  return out;
}

size_t count(const std::string& text, const std::string& part) {
  size_t out = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++out;
  return out;
}

TEST(Curves, AreATableOfOneLineARound) {
  EXPECT_EQ(curves_csv(three_rounds(), false),
            "round,loss,test_loss,accuracy,seconds\n"
            "1,2,2.5,0.250000,0.500\n"
            "2,1,1.25,0.500000,0.500\n"
            "3,0.666666687,0.833333333,0.750000,0.500\n");
  EXPECT_EQ(curves_csv({}, true), "round,loss,validation_loss,accuracy,seconds\n");
}

TEST(Curves, AreAPictureOfThreeLines) {
  const std::string svg = curves_svg(three_rounds(), false, "a <b> & \"c\"\x1b");
  EXPECT_EQ(svg.rfind("<svg ", 0), 0U);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "<polyline"), 3U);
  EXPECT_EQ(count(svg, "<circle"), 9U);
  EXPECT_NE(svg.find("a &lt;b&gt; &amp; \"c\"\\x1b"), std::string::npos);
  EXPECT_EQ(svg.find("script"), std::string::npos);
}

TEST(Curves, LeaveOutWhatIsNotFinite) {
  std::vector<RoundReport> rounds = three_rounds();
  rounds[1].loss = NAN;
  rounds[2].evaluation.loss = INFINITY;
  for (const bool gpt : {false, true}) {
    const std::string svg = curves_svg(rounds, gpt, "t");
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
    EXPECT_EQ(count(svg, "<circle"), 7U);
  }
  EXPECT_TRUE(curves_svg({}, true, "t").ends_with("</svg>\n"));
}

}  // namespace
}  // namespace gemmine::miner
