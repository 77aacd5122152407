// Openings, good and corrupted, against the Python reference: tests/vectors/golden/openings.txt.
#include <gtest/gtest.h>

#include "tests/support/toy_lease.h"
#include "verifier/audit/opening.h"

namespace gemmine::verifier {
namespace {

using test::Golden;
using test::Toy;

constexpr const char* kNames[] = {"x_first",   "x_hidden", "w",         "g1_last",
                                  "g1_hidden", "g2_last",  "g2_hidden", "delta"};

// The columns of an `opening` line.
struct Place {
  uint32_t round;
  uint32_t slot;
  uint32_t share;
  BlockChoice choice;
};

Place place_of(const Golden& golden, const std::string& name) {
  const std::string key = "opening " + name;
  const auto at = [&](size_t i) { return static_cast<uint32_t>(golden.natural(key, i)); };
  Place place{at(0), at(1), at(2), {}};
  place.choice.step = at(3);
  place.choice.delta = golden.text(key, 4) == "-1";
  place.choice.position = place.choice.delta ? 0 : at(4);
  place.choice.tile_row = at(5);
  place.choice.tile_col = at(6);
  place.choice.group = at(7);
  return place;
}

class GoldenOpening : public testing::TestWithParam<const char*> {
 protected:
  GoldenOpening() { toy_.run_round(); }
  Toy toy_{"job_sgd"};
  Golden golden_{"openings"};
};

TEST_P(GoldenOpening, ProverSendsTheSameBytes) {
  const Place place = place_of(golden_, GetParam());
  const auto engine = toy_.engine();
  const auto runs = toy_.run_lease(*engine, place.round, place.slot, place.share + 1);
  ASSERT_EQ(runs.size(), place.share + 1);
  const ShareRun& run = runs.back();
  const Lease lease = toy_.lease(place.round, place.slot);
  const std::vector<float> before =
      place.share == 0 ? toy_.start(place.round) : runs[place.share - 1].state_after;
  // Back to right after the block's step: its tensors are what read_tensor gives.
  ASSERT_TRUE(engine->load_state(before, run.share.first_step).ok());
  for (uint32_t i = 0; i <= place.choice.step; ++i) {
    const kernels::StepKey key{place.round, place.slot, run.share.first_step + i};
    ASSERT_TRUE(engine->run_step(key, nullptr).ok());
  }
  const auto opening = make_opening({.at = {toy_.work, lease, toy_.thetas.at(place.round)},
                                     .run = run,
                                     .state_before = before,
                                     .state_after = run.state_after,
                                     .train_records = toy_.train,
                                     .engine = *engine},
                                    place.choice);
  ASSERT_TRUE(opening.ok()) << opening.error().detail;
  EXPECT_EQ(to_hex(opening.value()), golden_.text("opening " + std::string(GetParam()), 8));
}

TEST_P(GoldenOpening, CheckerGivesTheSameVerdicts) {
  const std::string name = GetParam();
  const Place place = place_of(golden_, name);
  const Lease lease = toy_.lease(place.round, place.slot);
  const std::string share_key =
      "share " + test::lease_name(place.round, place.slot) + " " + std::to_string(place.share);
  const Share share = decode_share(toy_.golden.bytes(share_key)).value();
  int seen = 0;
  for (int k = 0; k < 12; ++k) {
    const std::string key = "corrupt " + name + " " + std::to_string(k);
    if (!golden_.has(key)) continue;
    Bytes bytes = golden_.bytes("opening " + name, 8);
    bytes.at(golden_.natural(key, 1)) ^= static_cast<uint8_t>(golden_.natural(key, 2));
    bytes.resize(bytes.size() - golden_.natural(key, 3));
    for (const uint8_t byte : golden_.bytes(key, 4))
      bytes.push_back(byte);
    const Finding finding =
        check_opening({toy_.work, lease, toy_.thetas.at(place.round)}, share, place.choice, bytes);
    EXPECT_EQ(static_cast<int64_t>(finding.outcome), golden_.integer(key, 5))
        << key << ": " << finding.detail;
    ++seen;
  }
  EXPECT_GE(seen, 11);
}

INSTANTIATE_TEST_SUITE_P(Blocks, GoldenOpening, testing::ValuesIn(kNames),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace gemmine::verifier
