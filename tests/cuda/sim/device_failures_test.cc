// What a device can refuse or do wrong, played by the emulated one: a clear error, no wrong number.
#include <algorithm>

#include "kernels/cuda/host/mlp_engine.h"
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy.h"

namespace gemmine::test {
namespace {

using kernels::Optimiser;
using kernels::Program;

class DeviceFailures : public EmulatedTest {
 protected:
  DeviceFailures()
      : program_(Program::make(toy_spec(Optimiser::sgd)).value()), records_(toy_train()) {
    kernels::set_cuda_api_for_test(&emulated_api());
  }
  ~DeviceFailures() override { kernels::set_cuda_api_for_test(nullptr); }

  Result<std::unique_ptr<kernels::Engine>> make(std::string_view name = "cuda:0") {
    return kernels::make_engine(name, program_, records_, 1);
  }
  void expect_refusal(Errc code, std::string_view text, std::string_view name = "cuda:0") {
    const auto made = make(name);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, code) << made.error().detail;
    EXPECT_NE(made.error().detail.find(text), std::string::npos) << made.error().detail;
    EXPECT_EQ(emulated_device().allocated, 0U);
    EXPECT_EQ(emulated_device().contexts, 0U);
  }
  std::vector<float> state() const {
    std::vector<float> out = program_.initial_theta();
    out.resize(program_.state_floats(), 0.0F);
    return out;
  }

  static std::string mib(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f MiB", static_cast<double>(bytes) / (1 << 20));
    return text;
  }

  Program program_;
  Bytes records_;
};

TEST_F(DeviceFailures, ADriverThatIsTooOldIsNamed) {
  emulated_device().driver = false;
  expect_refusal(Errc::unsupported, "driver is too old");
  const auto devices = kernels::list_devices();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "cpu");
  EXPECT_TRUE(devices[0].refusal.empty());
  EXPECT_EQ(devices[1].name, "cuda");
  EXPECT_NE(devices[1].refusal.find("too old"), std::string::npos);
}

TEST_F(DeviceFailures, ADeviceThatIsNotThereIsRefused) {
  expect_refusal(Errc::unsupported, "there are 1 CUDA devices", "cuda:1");
  expect_refusal(Errc::unsupported, "is not one of", "cuda:");
  expect_refusal(Errc::unsupported, "is not one of", "cuda:0x");
  emulated_device().devices = 0;
  expect_refusal(Errc::unsupported, "there are 0 CUDA devices");
  EXPECT_NE(kernels::list_devices().at(1).refusal, "");
}

TEST_F(DeviceFailures, AnArchitectureWithoutInt8TensorCoresIsRefused) {
  emulated_device().architecture = 70;
  expect_refusal(Errc::unsupported, "compute capability 7.0");
  EXPECT_NE(kernels::list_devices().at(1).refusal.find("7.5"), std::string::npos);
}

TEST_F(DeviceFailures, AUsableDeviceIsListed) {
  emulated_device().architecture = 120;
  const auto devices = kernels::list_devices();
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[1].name, "cuda:0");
  EXPECT_TRUE(devices[1].refusal.empty());
  EXPECT_NE(devices[1].description.find("compute capability 12.0"), std::string::npos);
}

// Whatever the allocation that fails, the answer is the same and nothing is left behind.
TEST_F(DeviceFailures, TooLittleMemoryIsAnErrorAtAnySize) {
  uint64_t needed = 0;
  {
    const auto engine = make();
    ASSERT_TRUE(engine.ok());
    needed = emulated_device().allocated;
  }
  for (uint64_t bytes = 0; bytes < needed; bytes += needed / 50 + 1) {
    emulated_device().memory_bytes = bytes;
    expect_refusal(Errc::out_of_memory, "use a smaller batch");
    if (bytes == 0) continue;  // its probe does not fit, and what a step needs is not known yet
    expect_refusal(Errc::out_of_memory, "needs " + mib(needed) + ", free are " + mib(bytes));
  }
  emulated_device().memory_bytes = needed;
  EXPECT_TRUE(make().ok());
}

TEST_F(DeviceFailures, ADeviceLostAtAnyLaunchStopsAndGivesNoNumbers) {
  uint64_t launches = 0;
  const auto fresh = [&] {
    emulated_device().launches_left = ~uint64_t{0};
    auto made = make();
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE(made.value()->load_state(state(), 0).ok());
    return std::move(made.value());
  };
  const Digest key{};
  {
    const auto engine = fresh();
    const uint64_t before = emulated_device().launches;
    ASSERT_TRUE(engine->run_step({}, &key).ok());
    launches = emulated_device().launches - before;
  }
  for (uint64_t left = 0; left < launches; left += 5) {
    const auto engine = fresh();
    emulated_device().launches_left = left;
    const auto result = engine->run_step({}, &key);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Errc::closed);
    EXPECT_NE(result.error().detail.find("gone"), std::string::npos) << result.error().detail;
    emulated_device().launches_left = ~uint64_t{0};
    // Back or not: what it held is gone.
    EXPECT_FALSE(engine->load_state(state(), 0).ok());
  }
  EXPECT_EQ(emulated_device().allocated, 0U);
}

TEST_F(DeviceFailures, ADeviceThatComputesOtherBitsIsRefusedAtItsStart) {
  for (const cudasim::Plant plant : {cudasim::Plant::lane_map, cudasim::Plant::swapped_registers,
                                     cudasim::Plant::no_zero_fill}) {
    cudasim::plant = plant;
    expect_refusal(Errc::invalid, "do not use it");
  }
}

TEST_F(DeviceFailures, ACheckedDeviceThatErrsLaterIsCaughtInThatStep) {
  auto made = make("check:cuda:0");
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(made.value()->load_state(state(), 0).ok());
  cudasim::plant = cudasim::Plant::swapped_registers;
  const auto result = made.value()->run_step({}, nullptr);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().detail.find("differ"), std::string::npos) << result.error().detail;
}

TEST(CudaPlugin, AFileThatIsMissingOrNoPlugInIsRefused) {
  for (const char* path : {"/nonexistent/libgemmine_cuda.so", PLUGIN_STRANGER}) {
    const auto api = kernels::load_cuda_plugin(path);
    ASSERT_FALSE(api.ok());
    EXPECT_EQ(api.error().code, Errc::unsupported);
    EXPECT_NE(api.error().detail.find("CUDA plug-in"), std::string::npos);
  }
}

TEST(CudaPlugin, AnotherVersionIsRefusedWithBothNumbers) {
  const auto api = kernels::load_cuda_plugin(PLUGIN_OTHER_VERSION);
  ASSERT_FALSE(api.ok());
  EXPECT_EQ(api.error().code, Errc::unsupported);
  EXPECT_NE(api.error().detail.find("has version 999999"), std::string::npos);
}

#if defined(PLUGIN)
// On a machine without a driver this is the whole of what the real plug-in can be asked.
TEST(CudaPlugin, TheRealOneLoadsAndCountsDevicesOrSaysWhyNot) {
  const auto api = kernels::load_cuda_plugin(PLUGIN);
  ASSERT_TRUE(api.ok()) << api.error().detail;
  uint32_t devices = 77;
  const auto status = api.value()->count(&devices);
  if (status == kernels::cuda::DeviceStatus::ok) return;
  EXPECT_EQ(status, kernels::cuda::DeviceStatus::no_driver);
  EXPECT_EQ(devices, 0U);
  EXPECT_STRNE(api.value()->reason(), "");
}
#endif

}  // namespace
}  // namespace gemmine::test
