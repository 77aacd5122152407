#include "kernels/self_test.h"

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"

namespace gemmine::kernels {
namespace {

TEST(SelfTest, EveryEngineComputesTheGoldenBits) {
  for (const char* engine : {"reference", "cpu", "check:cpu"}) {
    for (const int threads : {1, 2}) {
      const Status status = self_test(engine, threads);
      EXPECT_TRUE(status.ok()) << engine << ": " << (status.ok() ? "" : status.error().detail);
    }
  }
}

TEST(SelfTest, EveryCpuPathComputesTheGoldenBits) {
  const CpuPath before = cpu_path();
  for (const CpuPath path : cpu_paths()) {
    set_cpu_path_for_test(path);
    EXPECT_TRUE(self_test("cpu").ok()) << to_text(path);
  }
  set_cpu_path_for_test(before);
}

TEST(SelfTest, RefusesAnEngineNobodyHas) {
  const Status status = self_test("abacus");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace gemmine::kernels
