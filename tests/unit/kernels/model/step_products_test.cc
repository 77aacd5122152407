#include "kernels/model/step_products.h"

#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::kernels {
namespace {

std::vector<Program> programs() {
  return {Program::make(test::toy_spec(Optimiser::sgd)).value(),
          Program::make(testing::toy_gpt()).value(),
          Program::make(testing::toy_gpt_tied()).value()};
}

TEST(StepProducts, AddUpToTheWorkThatIsPaid) {
  for (const Program& program : programs()) {
    uint64_t macs = 0;
    for (const StepProduct& product : products_of(program))
      macs += product.macs() * product.times;
    EXPECT_EQ(macs, program.macs_per_step());
  }
}

TEST(StepProducts, AreEachNamedOnceHoweverOftenAStepHasThem) {
  const auto products = products_of(programs()[1]);
  for (size_t i = 0; i < products.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      StepProduct other = products[j];
      other.times = products[i].times;
      EXPECT_NE(products[i], other);
    }
  EXPECT_EQ(products[0].times, 2U);  // qkv of two blocks
}

// All of an MLP's and of two gpts', whose sides fill no tile, by one thread and by three.
TEST(DeviceProduct, OnTheCpuIsWhatAPlainLoopGives) {
  for (const Program& program : programs()) {
    for (const StepProduct& product : products_of(program)) {
      for (const int threads : {1, 3}) {
        const auto made = make_device_product("cpu", product, threads);
        ASSERT_TRUE(made.ok()) << made.error().detail;
        ASSERT_TRUE(made.value()->run(2).ok());
        const Status right = made.value()->check();
        EXPECT_TRUE(right.ok()) << to_text(product.kind) << ": " << right.error().detail;
      }
    }
  }
}

TEST(DeviceProduct, ThatWasNeverRunFailsItsCheck) {
  const auto made = make_device_product("cpu", {.m = 3, .n = 5, .k = 7}, 1);
  ASSERT_TRUE(made.ok());
  const Status wrong = made.value()->check();
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Errc::invalid);
  EXPECT_NE(wrong.error().detail.find("sum (0, 0) is 0"), std::string::npos)
      << wrong.error().detail;
}

TEST(DeviceProduct, OfAnotherEngineIsRefused) {
  for (const char* device : {"reference", "check:cpu", "cuda:", "cuda:x", "cuda:1x", ""}) {
    const auto made = make_device_product(device, {.m = 3, .n = 5, .k = 7}, 1);
    ASSERT_FALSE(made.ok()) << device;
    EXPECT_EQ(made.error().code, Errc::unsupported);
  }
}

}  // namespace
}  // namespace gemmine::kernels
