// A gpt on a device that is full, gone or wrong: a clear error at any point, and no wrong number.
#include <algorithm>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

using cudasim::Plant;
using kernels::Program;
using kernels::cuda::id_of;
using kernels::cuda::KernelId;
namespace kernel = kernels::cuda::kernel;

class GptFailures : public EmulatedTest {
 protected:
  GptFailures() : program_(Program::make(spec()).value()), tokens_(testing::toy_tokens(spec())) {
    kernels::set_cuda_api_for_test(&emulated_api());
  }
  ~GptFailures() override { kernels::set_cuda_api_for_test(nullptr); }

  static kernels::Spec spec() {
    kernels::Spec spec = testing::toy_gpt();
    spec.gpt.blocks = 1;
    spec.gpt.context = 96;  // two tiles of positions
    spec.batch = 1;
    return spec;
  }
  Result<std::unique_ptr<kernels::Engine>> make(std::string_view name = "cuda:0") {
    return kernels::make_engine(name, program_, tokens_, 1);
  }
  std::vector<float> state() const {
    std::vector<float> out = program_.initial_theta();
    out.resize(program_.state_floats(), 0.0F);
    return out;
  }
  // Whether a step with the planted mistake differs from the reference's, in some schedule.
  bool is_noticed(KernelId kernel, Plant plant) {
    emulated_device().planted_kernel = kernel;
    emulated_device().plant = plant;
    return std::any_of(schedules().begin(), schedules().end(), [&](const auto& schedule) {
      emulated_device().schedule = schedule;
      const auto engine = make("check:cuda:0");
      EXPECT_TRUE(engine.ok() && engine.value()->load_state(state(), 0).ok());
      const Digest key{};
      const auto result = engine.value()->run_step({}, &key);
      return !result.ok() && result.error().detail.find("differ") != std::string::npos;
    });
  }

  Program program_;
  Bytes tokens_;
};
using GptFailuresDeathTest = GptFailures;

TEST_F(GptFailures, TooLittleMemoryIsAnErrorAtAnySize) {
  uint64_t needed = 0;
  {
    const auto engine = make();
    ASSERT_TRUE(engine.ok());
    needed = emulated_device().allocated;
  }
  for (uint64_t bytes = 0; bytes < needed; bytes += needed / 50 + 1) {
    emulated_device().memory_bytes = bytes;
    const auto made = make();
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, Errc::out_of_memory) << made.error().detail;
    EXPECT_EQ(emulated_device().allocated, 0U);
  }
  emulated_device().memory_bytes = needed;
  EXPECT_TRUE(make().ok());
}

TEST_F(GptFailures, ADeviceLostAtAnyLaunchStopsAndGivesNoNumbers) {
  uint64_t launches = 100;
  const Digest key{};
  for (uint64_t left = 0; left < launches; left += 7) {
    emulated_device().launches_left = ~uint64_t{0};
    const auto engine = make();
    ASSERT_TRUE(engine.ok() && engine.value()->load_state(state(), 0).ok());
    const uint64_t before = emulated_device().launches;
    if (left != 0) emulated_device().launches_left = left;
    const auto result = engine.value()->run_step({}, &key);
    if (left == 0) {
      ASSERT_TRUE(result.ok()) << result.error().detail;
      launches = emulated_device().launches - before;
      EXPECT_GT(launches, 50U);
      continue;
    }
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Errc::closed);
    emulated_device().launches_left = ~uint64_t{0};
    EXPECT_FALSE(engine.value()->load_state(state(), 0).ok());
  }
  EXPECT_EQ(emulated_device().allocated, 0U);
}

TEST_F(GptFailures, NothingPlantedIsNotNoticed) {
  EXPECT_FALSE(is_noticed(id_of<kernel::AttentionForward>(), Plant::none));
}
TEST_F(GptFailures, AMissingBarrierIsNoticedInEachKernelThatHasOne) {
  for (const KernelId kernel :
       {id_of<kernel::AttentionForward>(), id_of<kernel::AttentionByQuery>(),
        id_of<kernel::AttentionByKey>(), id_of<kernel::QuantiseColumns>(),
        id_of<kernel::HeadGradientColumns>(), id_of<kernel::ActivationRows>(),
        id_of<kernel::LossLogits>(), id_of<kernel::TokenGradient>(), id_of<kernel::GemmResidual>()})
    EXPECT_TRUE(is_noticed(kernel, Plant::no_barrier)) << static_cast<int>(kernel);
}
TEST_F(GptFailures, WrongLanesRegistersAndFillsAreNoticedInAttention) {
  for (const KernelId kernel :
       {id_of<kernel::AttentionForward>(), id_of<kernel::AttentionByQuery>(),
        id_of<kernel::AttentionByKey>()}) {
    for (const Plant plant : {Plant::lane_map, Plant::swapped_registers, Plant::no_zero_fill})
      EXPECT_TRUE(is_noticed(kernel, plant)) << static_cast<int>(kernel);
  }
}
TEST_F(GptFailuresDeathTest, AWaitThatIsTooShortIsReported) {
  EXPECT_EXIT(is_noticed(id_of<kernel::AttentionByKey>(), Plant::short_wait),
              ::testing::ExitedWithCode(cudasim::kFailedExit), "still in flight");
}

}  // namespace
}  // namespace gemmine::test
