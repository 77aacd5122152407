#include "pool/store/evaluations.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

EvaluateDone result(uint32_t round) {
  EvaluateDone out{.job_id = {},
                   .theta_root = {},
                   .round = round,
                   .correct = 17 + round,
                   .records = 1000,
                   .loss = 1.0 / 3};
  out.job_id.bytes.fill(1);
  out.theta_root.bytes.fill(static_cast<uint8_t>(round));
  return out;
}

TEST(Evaluations, ComeBackAsTheyWere) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/evaluations";
  EXPECT_TRUE(read_evaluations(path).empty());
  for (uint32_t round = 0; round < 3; ++round)
    ASSERT_TRUE(append_evaluation(path, result(round)));
  const auto back = read_evaluations(path);
  ASSERT_EQ(back.size(), 3u);
  for (uint32_t round = 0; round < 3; ++round) {
    EXPECT_EQ(back[round].job_id, result(round).job_id);
    EXPECT_EQ(back[round].theta_root, result(round).theta_root);
    EXPECT_EQ(back[round].round, round);
    EXPECT_EQ(back[round].correct, 17 + round);
    EXPECT_EQ(back[round].records, 1000u);
    EXPECT_EQ(back[round].loss, 1.0 / 3);
  }
}

// A file cut at any byte gives the whole lines before the cut, and the next line is not lost.
TEST(Evaluations, SurviveBeingCutAnywhere) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/evaluations";
  ASSERT_TRUE(append_evaluation(path, result(1)));
  ASSERT_TRUE(append_evaluation(path, result(2)));
  const Bytes whole = read_file(path, 1 << 20).value();
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    ASSERT_TRUE(write_durable(path, ByteView(whole).first(cut)));
    const size_t before = read_evaluations(path).size();
    ASSERT_TRUE(append_evaluation(path, result(3)));
    const auto back = read_evaluations(path);
    ASSERT_EQ(back.size(), before + 1) << cut;
    EXPECT_EQ(back.back().round, 3u);
    for (const EvaluateDone& each : back)
      EXPECT_EQ(each.correct, 17 + each.round);
  }
}

TEST(Evaluations, LeaveOutWhatMakesNoSense) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/evaluations";
  const std::string key(64, '1');
  const std::string lines[] = {"",
                               ".",
                               key,
                               key + " " + key + " 1 5 4 0.5 .",  // 5 of 4
                               key + " " + key + " 1 2 0 0.5 .",
                               key + " " + key + " -1 2 4 0.5 .",
                               key + " " + key + " 1 2 4 nan .",
                               key + " xyz 1 2 4 0.5 .",
                               key + " " + key + " 1 2 4 0.5"};
  std::string text;
  for (const std::string& line : lines)
    text += line + "\n";
  ASSERT_TRUE(write_durable(path, as_bytes(std::string_view(text))));
  EXPECT_TRUE(read_evaluations(path).empty());
}

}  // namespace
}  // namespace gemmine::pool
