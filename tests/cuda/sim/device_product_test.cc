// A step's products timed alone: on an emulated device they are the products they are said to be.
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

using kernels::Program;
using kernels::StepProduct;

class DeviceProducts : public EmulatedTest {
 protected:
  DeviceProducts() { kernels::set_cuda_api_for_test(&emulated_api()); }
  ~DeviceProducts() override { kernels::set_cuda_api_for_test(nullptr); }
  static auto make(const StepProduct& product) {
    return kernels::make_device_product("cuda:0", product, 1);
  }
};
constexpr StepProduct kSmall{.m = 33, .n = 17, .k = 70};

TEST_F(DeviceProducts, AreWhatAPlainLoopGives) {
  for (const kernels::Spec& spec : {toy_spec(kernels::Optimiser::sgd), testing::toy_gpt_tied()}) {
    for (const StepProduct& product : products_of(Program::make(spec).value())) {
      const auto made = make(product);
      ASSERT_TRUE(made.ok()) << made.error().detail;
      const uint64_t before = emulated_device().launches;
      ASSERT_TRUE(made.value()->run(1).ok());
      EXPECT_GT(emulated_device().launches, before);
      const Status right = made.value()->check();
      EXPECT_TRUE(right.ok()) << to_text(product.kind) << ": " << right.error().detail;
    }
  }
  EXPECT_EQ(emulated_device().allocated, 0U);
}

TEST_F(DeviceProducts, ADeviceThatMultipliesWronglyIsFoundOut) {
  const auto made = make(kSmall);
  ASSERT_TRUE(made.ok());
  emulated_device().planted_kernel = kernels::cuda::id_of<kernels::cuda::kernel::GemmInt32>();
  emulated_device().plant = cudasim::Plant::swapped_registers;
  ASSERT_TRUE(made.value()->run(1).ok());
  const Status wrong = made.value()->check();
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Errc::invalid);
  EXPECT_NE(wrong.error().detail.find("cuda:0: product 33 x 17 x 70"), std::string::npos)
      << wrong.error().detail;
}

TEST_F(DeviceProducts, ALostDeviceGivesNoTime) {
  const auto made = make(kSmall);
  ASSERT_TRUE(made.ok());
  emulated_device().launches_left = 1;
  const Status lost = made.value()->run(5);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, Errc::closed);
  emulated_device().launches_left = ~uint64_t{0};
}

TEST_F(DeviceProducts, TooLittleMemoryIsAnError) {
  emulated_device().memory_bytes = 1000;
  const auto made = make(kSmall);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Errc::out_of_memory);
  EXPECT_EQ(emulated_device().allocated, 0U);
}

TEST_F(DeviceProducts, ADeviceThatIsNotThereIsRefused) {
  const auto made = kernels::make_device_product("cuda:7", kSmall, 1);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace gemmine::test
