// cuda_race SCENARIO, under ThreadSanitizer: fibers are its threads, and only barriers, __syncwarp
// and launches order them, so it finds races that no schedule happened to show.
#include <cstdio>
#include <string_view>
#include <vector>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "tests/cuda/sim/emulated_device.h"
#include "tests/support/toy.h"
#include "tests/support/toy_gpt.h"

namespace gemmine::test {
namespace {

bool run_step(const kernels::Program& program, const Bytes& records) {
  kernels::set_cuda_api_for_test(&emulated_api());
  const auto engine = kernels::make_engine("check:cuda:0", program, records, 1);
  if (!engine) {
    std::printf("%s\n", engine.error().detail.c_str());
    return false;
  }
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  const Digest key{};
  return engine.value()->load_state(state, 0).ok() && engine.value()->run_step({}, &key).ok();
}

// A step of a small network: every kernel but gemm_int32, hash_roots and update_sgd.
bool run_mlp_step() {
  kernels::Spec spec = toy_spec(kernels::Optimiser::adamw);
  spec.widths = {37, 9, 3};
  spec.batch = 2;
  const auto program = kernels::Program::make(spec);
  Bytes records = toy_train();
  for (size_t r = 0; r < spec.records; ++r)
    records[r * 38 + 37] %= 3;
  return run_step(program.value(), records);
}

// Of a gpt: every kernel of launch_gpt.h, heads in two tiles of positions.
bool run_gpt_step() {
  kernels::Spec spec = testing::toy_gpt();
  spec.gpt = {.vocabulary = 5, .width = 64, .heads = 1, .hidden = 16, .blocks = 1, .context = 96};
  spec.batch = 1;
  return run_step(kernels::Program::make(spec).value(), testing::toy_tokens(spec));
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
  if (scenario == "step") {
    emulated_device().blocks_unordered = true;
    right = run_mlp_step();
  }
  if (scenario == "missing_barrier") {
    cudasim::plant = cudasim::Plant::no_barrier;
    right = run_mlp_step();
  }
  if (scenario == "gpt_step") {
    emulated_device().blocks_unordered = true;
    right = run_gpt_step();
  }
  if (scenario == "gpt_missing_barrier") {
    emulated_device().planted_kernel =
        kernels::cuda::id_of<kernels::cuda::kernel::AttentionByKey>();
    emulated_device().plant = cudasim::Plant::no_barrier;
    right = run_gpt_step();
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
