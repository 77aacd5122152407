// `gemmine bench` of a GPU, where the GPU is emulated: the path through engine and products is the
// real one, the speeds mean nothing.
#include "kernels/cuda/host/plugin_loader.h"
#include "miner/bench/bench.h"
#include "tests/cuda/sim/emulated_test.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

using kernels::Program;

class DeviceBench : public EmulatedTest {
 protected:
  DeviceBench() { kernels::set_cuda_api_for_test(&emulated_api()); }
  ~DeviceBench() override { kernels::set_cuda_api_for_test(nullptr); }
  static void expect_bench_like_the_cpus(const kernels::Spec& spec, const Bytes& records) {
    const Program program = Program::make(spec).value();
    const auto cpu = miner::measure_device("cpu", program, records, 1, {0, 0});
    const auto gpu = miner::measure_device("cuda:0", program, records, 1, {0, 0});
    ASSERT_TRUE(cpu.ok() && gpu.ok());
    EXPECT_EQ(gpu.value().digest, cpu.value().digest);
    ASSERT_EQ(gpu.value().products.size(), cpu.value().products.size());
    for (const miner::ProductSpeed& timed : gpu.value().products)
      EXPECT_GT(timed.gmac_s, 0) << to_text(timed.product.kind);
    EXPECT_GT(gpu.value().step_ms, 0);
  }
};

TEST_F(DeviceBench, OfAnMlpHasEveryProductAndTheCpusDigest) {
  expect_bench_like_the_cpus(toy_spec(kernels::Optimiser::sgd), toy_train());
}

TEST_F(DeviceBench, OfAGptHasEveryProductAndTheCpusDigest) {
  kernels::Spec spec = testing::toy_gpt();
  spec.gpt.blocks = 1;
  spec.batch = 1;
  spec.steps_per_lease = 2;
  expect_bench_like_the_cpus(spec, testing::toy_tokens(spec));
}

TEST_F(DeviceBench, ADeviceLostWhileItIsMeasuredIsAnError) {
  const Program program = Program::make(toy_spec(kernels::Optimiser::sgd)).value();
  const Bytes records = toy_train();
  emulated_device().launches_left = 10;
  const auto lost = miner::measure_device("cuda:0", program, records, 1, {0, 0});
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, Errc::closed);
  EXPECT_EQ(emulated_device().allocated, 0U);
}

}  // namespace
}  // namespace gemmine::test
