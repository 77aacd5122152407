// What a replay tells apart, with the toy job of the golden files.
#include "verifier/audit/replay.h"

#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using gemmine::test::Toy;
using test::filled;

TEST(Replay, FindsEachFieldThatDiffersAndTheStepWhereItCan) {
  const Toy toy("job_sgd");
  const auto engine = toy.engine();
  const auto runs = toy.run_lease(*engine, 0, 0, 3);
  const auto judge = [&](size_t index, auto change) {
    Share claimed = runs[index].share;
    change(claimed);
    return compare_share(claimed, runs[index]);
  };
  EXPECT_EQ(judge(0, [](Share&) {}).outcome, Outcome::valid);
  const auto refuses = [&](std::string_view words, auto change) {
    const Finding finding = judge(0, change);
    EXPECT_EQ(finding.outcome, Outcome::invalid) << words;
    EXPECT_NE(finding.detail.find(words), std::string::npos) << finding.detail;
  };
  refuses("other steps", [](Share& s) { s.steps = 1; });
  refuses("state_before", [](Share& s) { s.state_before = filled(1); });
  refuses("trace_root", [](Share& s) { s.trace_root = filled(1); });
  refuses("state_after", [](Share& s) { s.state_after = filled(1); });
  refuses("loss", [](Share& s) { s.loss = -s.loss; });
  refuses("macs", [](Share& s) { s.macs += 1; });
  refuses("delta_root", [](Share& s) { s.delta_root = filled(1); });
  // The last share of the toy has one step, so the step is known.
  EXPECT_EQ(judge(2, [](Share& s) { s.trace_root = filled(1); }).step, 4U);
  EXPECT_EQ(judge(0, [](Share& s) { s.trace_root = filled(1); }).step, kNoStep);
}

TEST(Replay, RefusesArgumentsOfOtherSizes) {
  const Toy toy("job_sgd");
  const auto engine = toy.engine();
  const std::vector<float> state = toy.start(0);
  const std::vector<float>& theta = toy.thetas[0];
  const Lease lease = toy.lease(0, 0);
  const auto code = [&](uint32_t index, std::span<const float> t, std::span<const float> s) {
    return run_share(*engine, {toy.work, lease, t}, index, s).error().code;
  };
  EXPECT_EQ(code(3, theta, state), Errc::invalid_argument);
  EXPECT_EQ(code(0, std::span(theta).subspan(1), state), Errc::invalid_argument);
  EXPECT_EQ(code(0, theta, std::span(state).subspan(1)), Errc::invalid_argument);
}

}  // namespace
}  // namespace gemmine::verifier
