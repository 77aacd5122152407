#include "verifier/merge/round.h"

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/support/toy_lease.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

TEST(Round, StartsLeasesFromThetaAndZeroMoments) {
  const test::Toy toy("job_sgd");
  const std::vector<float> theta = toy.theta(0);
  const std::vector<float> state = start_state(toy.program, theta);
  ASSERT_EQ(state.size(), toy.program.state_floats());
  for (size_t i = 0; i < state.size(); ++i)
    ASSERT_EQ(state[i], i < theta.size() ? theta[i] : 0.0F) << i;
  EXPECT_EQ(start_root(toy.program, theta), state_root(state));
}

TEST(Round, GivesBytesBackAsTheFloatsTheyWere) {
  const std::vector<float> floats = {1.5F, -0.0F, 3e38F};
  EXPECT_EQ(floats_of(as_bytes(std::span<const float>(floats))), floats);
  EXPECT_TRUE(floats_of({}).empty());
}

TEST(Round, IsRedoneFromItsDeltasAlone) {
  test::Toy toy("job_sgd");
  const auto runs = toy.run_round();  // runs every lease, and merges as the golden file does
  std::vector<uint32_t> asked;
  const MergeCounts counts{toy.job.spec.slots, 0};
  const auto redone =
      redo_round(toy.work, toy.thetas[0], counts, [&](uint32_t slot) -> Result<Bytes> {
        asked.push_back(slot);
        return runs[slot].back().delta;
      });
  ASSERT_TRUE(redone.ok()) << redone.error().detail;
  EXPECT_EQ(redone.value().published, toy.thetas[1]);
  EXPECT_EQ(redone.value().theta_root,
            kernels::blake3(as_bytes(std::span<const float>(toy.thetas[1]))));
  ASSERT_EQ(asked.size(), toy.job.spec.slots);
  for (uint32_t slot = 0; slot < asked.size(); ++slot)
    EXPECT_EQ(asked[slot], slot);
}

TEST(Round, TakesOutAgainWhatComesAfterTheSlots) {
  test::Toy toy("job_sgd");
  const auto runs = toy.run_round();
  const auto slots = toy.job.spec.slots;
  // With all of it taken out again, the round has moved nothing.
  const auto redone = redo_round(toy.work, toy.thetas[0], {slots, slots}, [&](uint32_t number) {
    return Result<Bytes>(runs[number % slots].back().delta);
  });
  ASSERT_TRUE(redone.ok()) << redone.error().detail;
  EXPECT_EQ(redone.value().published, toy.thetas[0]);
}

// What was merged comes out as it went in, but for the last bit of a float.
TEST(Round, RepairedGivesTheWeightsBackThatItBeganWith) {
  test::Toy toy("job_sgd");
  const auto runs = toy.run_round();
  const auto slots = toy.job.spec.slots;
  const auto delta_of = [&](uint32_t number) { return Result<Bytes>(runs[number].back().delta); };
  const auto repaired = redo_round(toy.work, toy.thetas[1], {0, slots}, delta_of);
  ASSERT_TRUE(repaired.ok()) << repaired.error().detail;
  ASSERT_EQ(repaired.value().published.size(), toy.thetas[0].size());
  for (size_t i = 0; i < toy.thetas[0].size(); ++i)
    EXPECT_NEAR(repaired.value().published[i], toy.thetas[0][i], 1e-6F);
  EXPECT_NE(toy.thetas[1], toy.thetas[0]);
}

TEST(Round, EndsWithTheFirstDeltaThatIsNotThereOrIsNone) {
  const test::Toy toy("job_sgd");
  uint32_t asked = 0;
  const MergeCounts counts{toy.job.spec.slots, 0};
  const auto missing = redo_round(toy.work, toy.thetas[0], counts, [&](uint32_t) -> Result<Bytes> {
    ++asked;
    return Error{Errc::io, "no such blob"};
  });
  EXPECT_EQ(missing.error().code, Errc::io);
  EXPECT_EQ(asked, 1U);
  const auto broken = redo_round(toy.work, toy.thetas[0], counts, [](uint32_t) -> Result<Bytes> {
    return Bytes{1, 2, 3};
  });
  EXPECT_EQ(broken.error().code, Errc::malformed);
}

}  // namespace
}  // namespace gemmine::verifier
