// cuda_race SCENARIO, under ThreadSanitizer: fibers are its threads, and only barriers, __syncwarp
// and launches order them, so it finds races that no schedule happened to show.
#include <cstdio>
#include <string_view>
#include <vector>

#include "kernels/cuda_plugin.h"
#include "tests/cuda/emulated_device.h"
#include "tests/support/toy.h"

namespace gemmine::test {
namespace {

// A step of a small network: every kernel but gemm_int32, hash_roots and update_sgd.
bool run_step() {
  kernels::Spec spec = toy_spec(kernels::Optimiser::adamw);
  spec.widths = {37, 9, 3};
  spec.batch = 2;
  const auto program = kernels::Program::make(spec);
  Bytes records = toy_train();
  for (size_t r = 0; r < spec.records; ++r)
    records[r * 38 + 37] %= 3;
  kernels::set_cuda_api_for_test(&emulated_api());
  const auto engine = kernels::make_engine("check:cuda:0", program.value(), records, 1);
  if (!engine) {
    std::printf("%s\n", engine.error().detail.c_str());
    return false;
  }
  std::vector<float> state = program.value().initial_theta();
  state.resize(program.value().state_floats(), 0.0F);
  const Digest key{};
  return engine.value()->load_state(state, 0).ok() && engine.value()->run_step({}, &key).ok();
}

// What a kernel with a forgotten atomicAdd would be.
bool run_racing_blocks() {
  uint32_t sum = 0;
  cudasim::launch({8, 1, 1}, {32, 1, 1}, 0,
                  [&] {
                    if (threadIdx.x == 0) sum = sum + 1;
                  },
                  {.blocks_unordered = true});
  return sum == 8;
}

int run(std::string_view scenario) {
  bool right = false;
  if (scenario == "step") right = run_step();
  if (scenario == "missing_barrier") {
    cudasim::plant = cudasim::Plant::no_barrier;
    right = run_step();
  }
  if (scenario == "racing_blocks") right = run_racing_blocks();
  std::printf("%s\n", right ? "right results" : "wrong results");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace gemmine::test

int main(int count, char** arguments) {
  return gemmine::test::run(count == 2 ? arguments[1] : "");
}
