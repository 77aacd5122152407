// The int8 product on fibers: every schedule, odd sizes, and mistakes planted to see them reported.
#include "tests/cuda/sim/emulated_test.h"

namespace gemmine::test {
namespace {

struct Shape {
  uint32_t m, n, k;
};
constexpr Shape kShapes[] = {{1, 1, 1},     {33, 2, 70},     {128, 128, 64},
                             {130, 129, 1}, {200, 130, 144}, {16, 300, 257}};

using EmulatedGemm = EmulatedTest;

TEST_F(EmulatedGemm, EqualsTheTripleLoopInEverySchedule) {
  for (const cudasim::Schedule& schedule : schedules()) {
    emulated_device().schedule = schedule;
    for (const Shape& s : kShapes) {
      const Int8Matrix a = Int8Matrix::random(s.m, s.k, 1);
      const Int8Matrix b = Int8Matrix::random(s.n, s.k, 2);
      EXPECT_EQ(emulated_product(a, b), product(a, b)) << s.m << " " << s.n << " " << s.k;
    }
  }
}

TEST_F(EmulatedGemm, LoadsEachMatrixWithoutABankConflict) {
  const Int8Matrix a = Int8Matrix::random(128, 256, 1);
  const cudasim::Counts before = cudasim::counts;
  emulated_product(a, a);
  const uint64_t loads = cudasim::counts.ldmatrix - before.ldmatrix;
  EXPECT_GT(loads, 0U);
  EXPECT_EQ(cudasim::counts.wavefronts - before.wavefronts, 4 * loads);
}

// What mma.m16n8k32 and ldmatrix mean is written here from the PTX ISA's formulas a second time.
TEST_F(EmulatedGemm, FragmentsLieWhereThePtxIsaSays) {
  const Int8Matrix a = Int8Matrix::random(16, 32, 3);
  const Int8Matrix b = Int8Matrix::random(8, 32, 4);
  const std::vector<int32_t> want = product(a, b);
  std::vector<int32_t> got(16 * 8, -1);
  cudasim::launch({}, {32, 1, 1}, 0,
                  [&] {
                    namespace ptx = kernels::cuda::ptx;
                    const unsigned group = cudasim::current->lane >> 2;
                    const unsigned in_group = cudasim::current->lane % 4;
                    ptx::FragmentA fa{};
                    ptx::FragmentB fb{};
                    for (unsigned i = 0; i < 16; ++i) {
                      const unsigned row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
                      const unsigned col = in_group * 4 + (i & 3) + (i >= 8 ? 16 : 0);
                      fa.r[i / 4] |= uint32_t{static_cast<uint8_t>(a.at(row, col))} << i % 4 * 8;
                    }
                    for (unsigned i = 0; i < 8; ++i) {
                      const unsigned k = in_group * 4 + (i & 3) + (i >= 4 ? 16 : 0);
                      fb.r[i / 4] |= uint32_t{static_cast<uint8_t>(b.at(group, k))} << i % 4 * 8;
                    }
                    int32_t d[4] = {};
                    ptx::mma_s8(d, fa, fb);
                    for (unsigned i = 0; i < 4; ++i)
                      got[(i < 2 ? group : group + 8) * 8 + in_group * 2 + (i & 1)] = d[i];
                  },
                  {});
  EXPECT_EQ(got, want);
}

class PlantedInGemm : public EmulatedTest {
 protected:
  // Whether some schedule computes something else.
  static bool is_noticed(cudasim::Plant plant) {
    cudasim::plant = plant;
    const Int8Matrix a = Int8Matrix::random(200, 400, 5);
    const Int8Matrix b = Int8Matrix::random(130, 400, 6);
    const std::vector<int32_t> want = product(a, b);
    for (const cudasim::Schedule& schedule : schedules()) {
      emulated_device().schedule = schedule;
      if (emulated_product(a, b) != want) return true;
    }
    return false;
  }
};
using PlantedInGemmDeathTest = PlantedInGemm;

TEST_F(PlantedInGemm, NothingIsNoticedWhereNothingIs) {
  EXPECT_FALSE(is_noticed(cudasim::Plant::none));
}
TEST_F(PlantedInGemm, AMissingBarrierIsNoticed) {
  EXPECT_TRUE(is_noticed(cudasim::Plant::no_barrier));
}
TEST_F(PlantedInGemm, AWrongLaneMapIsNoticed) {
  EXPECT_TRUE(is_noticed(cudasim::Plant::lane_map));
}
TEST_F(PlantedInGemm, SwappedRegistersAreNoticed) {
  EXPECT_TRUE(is_noticed(cudasim::Plant::swapped_registers));
}
TEST_F(PlantedInGemmDeathTest, AWaitThatIsTooShortIsReported) {
  EXPECT_EXIT(is_noticed(cudasim::Plant::short_wait),
              ::testing::ExitedWithCode(cudasim::kFailedExit), "still in flight");
}

// In the product rows that do not exist reach only sums that nobody stores; the layout probe stores
// them, so that the zeros are seen too.
std::vector<int32_t> probe_rows_beyond() {
  namespace cuda = kernels::cuda;
  alignas(16) int8_t a[16 * 32];
  alignas(16) int8_t b[8 * 32];
  for (int i = 0; i < 16 * 32; ++i)
    a[i] = b[i % 256] = static_cast<int8_t>(i % 61 - 30);
  std::vector<int32_t> d(256, -1);
  EXPECT_EQ(cuda::launch<cuda::kernel::LayoutProbe>(emulated_api(), nullptr, {1}, a, b, d.data()),
            cuda::DeviceStatus::ok);
  std::vector<int32_t> beyond;
  for (size_t i = 0; i < d.size(); ++i) {
    if (i % 16 >= 8) beyond.push_back(d[i]);
  }
  return beyond;
}
TEST_F(PlantedInGemm, AMissingZeroFillIsNoticed) {
  EXPECT_EQ(probe_rows_beyond(), std::vector<int32_t>(128, 0));
  cudasim::plant = cudasim::Plant::no_zero_fill;
  EXPECT_NE(probe_rows_beyond(), std::vector<int32_t>(128, 0));
}

}  // namespace
}  // namespace gemmine::test
