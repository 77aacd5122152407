#include "kernels/model/spec.h"

#include <functional>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "kernels/model/program.h"
#include "tests/support/good_spec.h"

namespace gemmine::kernels {
namespace {

using test::good_spec;

struct Wrong {
  const char* field;
  std::function<void(Spec&)> change;
};

TEST(Spec, NamesEveryFieldThatIsOutOfBounds) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Wrong wrongs[] = {
      {"widths", [](Spec& s) { s.widths = {}; }},
      {"widths", [](Spec& s) { s.widths = {4}; }},
      {"widths", [](Spec& s) { s.widths.assign(18, 4); }},
      {"widths[1]", [](Spec& s) { s.widths[1] = 0; }},
      {"widths[1]", [](Spec& s) { s.widths[1] = 16385; }},
      {"widths[2]", [](Spec& s) { s.widths.back() = 16385; }},
      {"widths", [](Spec& s) { s.widths = {16384, 16384, 16384, 16384, 16384, 16384, 2}; }},
      {"records", [](Spec& s) { s.records = 0; }},
      {"records", [](Spec& s) { s.records = 0x80000000; }},
      {"feature_scale", [=](Spec& s) { s.feature_scale = nan; }},
      {"feature_shift", [=](Spec& s) { s.feature_shift = inf; }},
      {"optimiser", [](Spec& s) { s.optimiser = static_cast<Optimiser>(0); }},
      {"optimiser", [](Spec& s) { s.optimiser = static_cast<Optimiser>(3); }},
      {"lr", [=](Spec& s) { s.lr = nan; }},
      {"lr", [](Spec& s) { s.lr = -1; }},
      {"beta1", [](Spec& s) { s.beta1 = 1; }},
      {"beta1", [=](Spec& s) { s.beta1 = nan; }},
      {"beta2", [](Spec& s) { s.beta2 = -0.5F; }},
      {"eps", [=](Spec& s) { s.eps = inf; }},
      {"wd", [](Spec& s) { s.wd = -1; }},
      {"warmup", [](Spec& s) { s.warmup = 13; }},
      {"batch", [](Spec& s) { s.batch = 0; }},
      {"batch", [](Spec& s) { s.batch = 65537; }},
      {"steps_per_lease", [](Spec& s) { s.steps_per_lease = 0; }},
      {"steps_per_lease", [](Spec& s) { s.steps_per_lease = 65537; }},
      {"slots", [](Spec& s) { s.slots = 0; }},
      {"slots", [](Spec& s) { s.slots = 4097; }},
      {"rounds", [](Spec& s) { s.rounds = 0; }},
      {"rounds", [](Spec& s) { s.rounds = 3000000; }},
      {"rounds", [](Spec& s) { s.rounds = 2000000, s.slots = 4096; }},
      {"rounds", [](Spec& s) { s.rounds = 0xffffffff, s.slots = 4096; }},
  };
  for (const Wrong& wrong : wrongs) {
    Spec spec = good_spec();
    wrong.change(spec);
    const Result<Program> checked = Program::make(spec);
    ASSERT_FALSE(checked) << wrong.field;
    EXPECT_EQ(checked.error().code, Errc::invalid_argument);
    EXPECT_TRUE(checked.error().detail.starts_with(std::string(wrong.field) + " "))
        << wrong.field << ": " << checked.error().detail;
  }
}

TEST(Spec, AcceptsEveryBoundItself) {
  const std::function<void(Spec&)> changes[] = {
      [](Spec& s) { s.widths.assign(17, 4); },
      [](Spec& s) {
        s.widths = {16384, 256};
      },
      [](Spec& s) { s.records = 0x7fffffff; },
      [](Spec& s) { s.batch = 65536; },
      [](Spec& s) { s.steps_per_lease = 65536, s.rounds = 255; },
      [](Spec& s) { s.slots = 4096; },
      [](Spec& s) { s.warmup = 12; },
      [](Spec& s) { s.lr = s.beta1 = s.beta2 = s.eps = 0; },
  };
  for (const auto& change : changes) {
    Spec spec = good_spec();
    change(spec);
    EXPECT_TRUE(Program::make(spec));
  }
}

}  // namespace
}  // namespace gemmine::kernels
