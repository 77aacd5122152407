#include "verifier/merge/delta.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt_job.h"
#include "verifier/audit/bundle.h"

namespace gemmine::verifier {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Exponent and quantum of a delta of one parameter.
std::pair<int, int> one(float d) {
  const std::vector<float> local = {d};
  const std::vector<float> global = {0.0F};
  const auto delta = make_delta(local, global, kDeltaMaxMax);
  EXPECT_TRUE(delta.ok()) << d;
  EXPECT_EQ(delta.value().size(), 2U);
  EXPECT_TRUE(check_delta(delta.value(), 1, kDeltaMaxMax).ok());
  return {static_cast<int8_t>(delta.value()[0]), static_cast<int8_t>(delta.value()[1])};
}

TEST(Delta, PicksTheExponentThatKeepsQuantaWithin127) {
  using Pair = std::pair<int, int>;
  EXPECT_EQ(one(0.0F), Pair(-40, 0));
  EXPECT_EQ(one(1.0F), Pair(-6, 64));
  EXPECT_EQ(one(1.984375F), Pair(-6, 127));
  EXPECT_EQ(one(std::nextafter(1.984375F, 2.0F)), Pair(-5, 64)) << "127.00001/2, to the nearest";
  EXPECT_EQ(one(-1.984375F), Pair(-6, -127));
  EXPECT_EQ(one(std::nextafter(2.0F, 0.0F)), Pair(-5, 64));
  EXPECT_EQ(one(253.0F), Pair(1, 126)) << "a tie goes to even";
  EXPECT_EQ(one(254.0F), Pair(1, 127));
  EXPECT_EQ(one(0x1p-34F), Pair(-40, 64));
  EXPECT_EQ(one(0x1p-40F), Pair(-40, 1));
  EXPECT_EQ(one(0x1p-41F), Pair(-40, 0)) << "a tie goes to even";
  EXPECT_EQ(one(std::numeric_limits<float>::denorm_min()), Pair(-40, 0));
  EXPECT_EQ(one(std::numeric_limits<float>::min()), Pair(-40, 0));
}

TEST(Delta, RefusesALeaseThatHasDiverged) {
  for (const float d : {kInfinity, -kInfinity, std::nanf("")}) {
    std::vector<float> local(200, 0.5F);
    local[150] = d;
    const std::vector<float> global(200, 0.0F);
    const auto delta = make_delta(local, global, kDeltaMaxMax);
    ASSERT_FALSE(delta.ok()) << d;
    EXPECT_EQ(delta.error().code, Errc::invalid);
    EXPECT_NE(delta.error().detail.find("block 1"), std::string::npos);
  }
  const std::vector<float> three(3);
  const std::vector<float> two(2);
  EXPECT_EQ(make_delta(three, two, kDeltaMaxMax).error().code, Errc::invalid_argument);
}

TEST(Delta, MovesNothingByMoreThanTheJobAllows) {
  for (const int delta_max : {int{kDeltaMaxMin}, -3, 0, int{kDeltaMaxMax}}) {
    const float bound = std::ldexp(127.0F, delta_max - 7);
    for (const float d : {bound, bound * 1.01F, 1e30F}) {
      const std::vector<float> local = {d, -d, bound / 2};
      const std::vector<float> global(3, 0.0F);
      const Bytes delta = make_delta(local, global, delta_max).value();
      EXPECT_TRUE(check_delta(delta, 3, delta_max).ok());
      EXPECT_EQ(static_cast<int8_t>(delta[0]), delta_max - 7);
      EXPECT_EQ(static_cast<int8_t>(delta[1]), 127) << "the most there is, below 2^delta_max";
      EXPECT_EQ(static_cast<int8_t>(delta[2]), -127);
      EXPECT_EQ(static_cast<int8_t>(delta[3]), 64) << "what is within stays";
    }
    Bytes beyond =
        make_delta(std::vector<float>{bound}, std::vector<float>{0.0F}, delta_max).value();
    beyond[0] = static_cast<uint8_t>(delta_max - 6);
    EXPECT_EQ(check_delta(beyond, 1, delta_max).error().code, Errc::malformed);
    Merge merge(1, {}, delta_max);
    EXPECT_EQ(merge.add(beyond).error().code, Errc::malformed);
    EXPECT_EQ(merge.subtract(beyond).error().code, Errc::malformed);
  }
}

TEST(Delta, RefusesForeignLengthsExponentsAndQuanta) {
  Bytes delta(delta_bytes(130), 0);
  ASSERT_EQ(delta.size(), 132U);
  EXPECT_TRUE(check_delta(delta, 130, kDeltaMaxMax).ok());
  EXPECT_EQ(check_delta(delta, 131, kDeltaMaxMax).error().code, Errc::malformed);
  EXPECT_EQ(check_delta(ByteView(delta).first(131), 130, kDeltaMaxMax).error().code,
            Errc::malformed);
  for (const int e : {-41, 2, 127, -128}) {
    Bytes bad = delta;
    bad[1] = static_cast<uint8_t>(e);
    EXPECT_EQ(check_delta(bad, 130, kDeltaMaxMax).error().code, Errc::malformed) << e;
  }
  for (const int e : {-40, 1}) {
    delta[0] = static_cast<uint8_t>(e);
    EXPECT_TRUE(check_delta(delta, 130, kDeltaMaxMax).ok()) << e;
  }
  delta[131] = 0x80;
  EXPECT_EQ(check_delta(delta, 130, kDeltaMaxMax).error().code, Errc::malformed);
  delta[131] = 0x81;
  EXPECT_TRUE(check_delta(delta, 130, kDeltaMaxMax).ok());
}

std::vector<float> random_floats(size_t count, float range, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  for (float& x : out)
    x = (static_cast<float>(random()) * 0x1p-31F - 1.0F) * range;
  return out;
}

// PROTOCOL 8.3 read aloud.
std::vector<float> merge_slowly(const std::vector<Bytes>& deltas, const std::vector<float>& theta) {
  std::vector<float> out;
  for (size_t i = 0; i < theta.size(); ++i) {
    int64_t acc = 0;
    for (const Bytes& delta : deltas) {
      const size_t blocks = delta.size() - theta.size();
      const int e = static_cast<int8_t>(delta[i / 128]);
      const int q = static_cast<int8_t>(delta[blocks + i]);
      for (int64_t unit = int64_t{1} << (e + 40), n = 0; n < std::abs(q); ++n)
        acc += q > 0 ? unit : -unit;
    }
    const float slots = 1.0F / static_cast<float>(deltas.size());
    out.push_back(theta[i] + (static_cast<float>(acc) * 0x1p-40F) * slots);
  }
  return out;
}

TEST(Merge, GivesTheSameBitsInAnyOrderAndEqualsALiteralLoop) {
  constexpr size_t kCount = 300;
  const std::vector<float> theta = random_floats(kCount, 1.0F, 1);
  std::vector<Bytes> deltas;
  for (uint32_t slot = 0; slot < 7; ++slot) {
    const float range = std::ldexp(1.0F, 7 - 6 * static_cast<int>(slot));
    std::vector<float> local = random_floats(kCount, range, slot + 10);
    for (size_t i = 0; i < kCount; ++i)
      local[i] += theta[i];
    deltas.push_back(make_delta(local, theta, kDeltaMaxMax).value());
  }
  const std::vector<float> slow = merge_slowly(deltas, theta);
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(deltas.begin(), deltas.end(), random);
    Merge merge(kCount, {}, kDeltaMaxMax);
    for (const Bytes& delta : deltas)
      ASSERT_TRUE(merge.add(delta).ok());
    EXPECT_EQ(merge.finish(theta, 7).value(), slow);
  }
}

// PROTOCOL 10.13 read aloud, one parameter at a time.
std::vector<float> step_slowly(const std::vector<Bytes>& deltas, const std::vector<float>& before,
                               size_t count, OuterStep outer) {
  const std::vector<float> means = merge_slowly(deltas, std::vector<float>(count, 0.0F));
  std::vector<float> out = before;
  for (size_t i = 0; i < count; ++i) {
    const float g = means[i];
    if (outer.momentum == 0) {
      out[i] = before[i] + outer.lr * g;
      continue;
    }
    const float u = outer.momentum * before[count + i] + g;
    out[count + i] = u;
    out[i] = before[i] + outer.lr * (g + outer.momentum * u);
  }
  return out;
}

TEST(Merge, TakesTheOuterStepAsALiteralLoopDoesRoundAfterRound) {
  constexpr size_t kCount = 300;
  for (const OuterStep outer : {OuterStep{0.7F, 0.9F}, OuterStep{0.5F, 0}, OuterStep{16, 0.25F}}) {
    std::vector<float> published = random_floats(kCount, 1.0F, 3);
    published.resize(outer.momentum > 0 ? 2 * kCount : kCount, 0.0F);
    for (uint32_t round = 0; round < 3; ++round) {
      std::vector<Bytes> deltas;
      const std::vector<float> theta(published.begin(), published.begin() + kCount);
      for (uint32_t slot = 0; slot < 3; ++slot) {
        std::vector<float> local = random_floats(kCount, 0.1F, 100 * round + slot);
        for (size_t i = 0; i < kCount; ++i)
          local[i] += theta[i];
        deltas.push_back(make_delta(local, theta, kDeltaMaxMax).value());
      }
      const std::vector<float> slow = step_slowly(deltas, published, kCount, outer);
      std::reverse(deltas.begin(), deltas.end());
      Merge merge(kCount, outer, kDeltaMaxMax);
      for (const Bytes& delta : deltas)
        ASSERT_TRUE(merge.add(delta).ok());
      const auto fast = merge.finish(published, 3);
      ASSERT_TRUE(fast.ok()) << fast.error().detail;
      EXPECT_EQ(fast.value(), slow) << outer.lr << " round " << round;
      published = fast.value();
    }
  }
}

TEST(Merge, IsOfWhatTheJobPublishes) {
  kernels::Spec spec = testing::toy_gpt();
  spec.outer_lr = 0.7F;
  spec.outer_momentum = 0.9F;
  const auto work = Work::make(test::toy_gpt_job(spec)).value();
  const kernels::Program& program = work.program();
  const size_t count = program.parameters();
  const std::vector<float> first = initial_published(program);
  ASSERT_EQ(first.size(), 2 * count);
  EXPECT_TRUE(std::ranges::equal(theta_of(program, first), program.initial_theta()));
  EXPECT_TRUE(std::all_of(first.begin() + static_cast<ptrdiff_t>(count), first.end(),
                          [](float u) { return u == 0.0F && !std::signbit(u); }));
  Merge merge(work);
  Bytes delta(delta_bytes(count), 0);
  delta[0] = static_cast<uint8_t>(-6);
  delta[delta.size() - count] = 64;  // parameter 0 moves by 1
  ASSERT_TRUE(merge.add(delta).ok());
  EXPECT_EQ(merge.finish(program.initial_theta(), 1).error().code, Errc::invalid_argument)
      << "the velocity is missing";
  const auto next = merge.finish(first, 1).value();
  EXPECT_EQ(next[count], 1.0F);
  EXPECT_EQ(next[0], first[0] + 0.7F * (1.0F + 0.9F * 1.0F));
  EXPECT_EQ(next[1], first[1]);
  // Taken out alone, in the round after it, it leaves nothing, in the velocity neither.
  Merge repair(work);
  ASSERT_TRUE(repair.subtract(delta).ok());
  const auto back = repair.finish(next, 1).value();
  EXPECT_EQ(back[count], 0.0F);
  EXPECT_NEAR(back[0], first[0], 1e-6F);
  EXPECT_EQ(back[1], first[1]);
}

TEST(Merge, RefusesAVelocityThatIsNotFinite) {
  Merge merge(1, {1, 0.5F}, kDeltaMaxMax);
  ASSERT_TRUE(merge.add(Bytes{1, 127}).ok());
  for (const float velocity : {kInfinity, std::nanf("")}) {
    const auto next = merge.finish(std::vector{0.0F, velocity}, 1);
    EXPECT_EQ(next.error().code, Errc::invalid);
    EXPECT_NE(next.error().detail.find("velocity"), std::string::npos);
  }
}

// The content address is of θ and velocity, a lease starts from θ alone.
TEST(BundleTheta, CutsTheVelocityOffWhatTheLeaseNames) {
  kernels::Spec spec = testing::toy_gpt();
  spec.outer_momentum = 0.9F;
  const auto work = Work::make(test::toy_gpt_job(spec)).value();
  const kernels::Program& program = work.program();
  std::vector<float> published = initial_published(program);
  published.back() = 3;
  const ByteView bytes = as_bytes(std::span<const float>(published));
  Bundle bundle{.work = work,
                .lease = {},
                .share = {},
                .theta = {},
                .seed = {},
                .openings = {},
                .verdicts = {}};
  bundle.theta.assign(bytes.begin(), bytes.end());
  bundle.lease.theta_root = kernels::blake3(bytes);
  const auto theta = bundle_theta(bundle);
  ASSERT_TRUE(theta.ok()) << theta.error().detail;
  EXPECT_EQ(theta.value(), program.initial_theta());
  bundle.theta.back() ^= 1;
  EXPECT_EQ(bundle_theta(bundle).error().code, Errc::invalid) << "another velocity";
  bundle.theta.resize(bytes.size() / 2);
  bundle.lease.theta_root = kernels::blake3(bundle.theta);
  EXPECT_EQ(bundle_theta(bundle).error().code, Errc::invalid) << "θ without velocity";
}

TEST(Merge, RefusesMalformedMissingAndInfinite) {
  Merge merge(2, {}, kDeltaMaxMax);
  EXPECT_EQ(merge.add(Bytes(2)).error().code, Errc::malformed);
  const std::vector<float> theta = {1.0F, 2.0F};
  EXPECT_EQ(merge.finish(theta, 0).error().code, Errc::invalid_argument);
  ASSERT_TRUE(merge.add(Bytes{1, 127, 0x81}).ok());
  EXPECT_EQ(merge.finish(theta, 2).error().code, Errc::invalid_argument);
  EXPECT_EQ(merge.finish(theta, 1).value(), (std::vector{255.0F, -252.0F}));
  const std::vector<float> broken = {kInfinity, 0.0F};
  EXPECT_EQ(merge.finish(broken, 1).error().code, Errc::invalid);
}

TEST(Merge, HoldsAsManySlotsAsThereCanBe) {
  Merge merge(1, {}, kDeltaMaxMax);
  for (int slot = 0; slot < 4096; ++slot)
    ASSERT_TRUE(merge.add(Bytes{1, 127}).ok());
  EXPECT_EQ(merge.add(Bytes{1, 127}).error().code, Errc::invalid_argument);
  const std::vector<float> theta = {0.0F};
  EXPECT_EQ(merge.finish(theta, 4096).value(), std::vector{254.0F});
  for (int bad = 0; bad < 4096; ++bad)
    ASSERT_TRUE(merge.subtract(Bytes{1, 0x81}).ok());
  EXPECT_EQ(merge.subtract(Bytes{1, 127}).error().code, Errc::invalid_argument);
  EXPECT_EQ(merge.finish(theta, 4096).value(), std::vector{508.0F});
}

}  // namespace
}  // namespace gemmine::verifier
