// A training step of the demo's MLP (784-512-512-10), alone and with its commitments.
//
// Counters: gmac_s, and x_alone, the ratio to the same step without commitments measured before.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/base/cpu.h"
#include "kernels/engines.h"

namespace gemmine::kernels {
namespace {

Program demo(uint32_t batch, Optimiser optimiser) {
  const Result<Program> program = Program::make({
      .widths = {784, 512, 512, 10},
      .records = 6000,
      .feature_scale = 1.0F / 255.0F,
      .feature_shift = 0.0F,
      .optimiser = optimiser,
      .lr = 0.001F,
      .beta1 = 0.9F,
      .beta2 = 0.999F,
      .eps = 1e-8F,
      .wd = 1e-4F,
      .warmup = 0,
      .batch = batch,
      .steps_per_lease = 65536,
      .slots = 1,
      .rounds = 1,
      .init_seed = 1,
      .data_seed = 2,
      .sr_seed = 3,
  });
  GEMMINE_CHECK(program.ok());
  return program.value();
}

Bytes records_of(const Program& program) {
  Bytes out(size_t{program.spec().records} * program.record_bytes());
  uint32_t x = 1;
  for (uint8_t& byte : out) {
    x = x * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(x >> 24);
  }
  for (size_t i = program.inputs(0); i < out.size(); i += program.record_bytes())
    out[i] %= 10;
  return out;
}

// Seconds per step without commitments, by everything else that was asked for.
std::map<std::array<int64_t, 3>, double>& alone() {
  static std::map<std::array<int64_t, 3>, double> seconds;
  return seconds;
}

// Arguments: batch, threads, optimiser, commitments.
void bm_step(benchmark::State& state) {
  const Program program =
      demo(static_cast<uint32_t>(state.range(0)), static_cast<Optimiser>(state.range(2)));
  const Bytes records = records_of(program);
  auto engine = make_engine("cpu", program, records, static_cast<int>(state.range(1)));
  GEMMINE_CHECK(engine.ok());
  std::vector<float> start = program.initial_theta();
  start.resize(program.state_floats(), 0.0F);
  GEMMINE_CHECK(engine.value()->load_state(start, 0).ok());
  const Digest key;
  const bool commits = state.range(3) != 0;
  uint32_t step = 0;
  std::vector<double> seconds;
  for (auto _ : state) {
    const auto began = std::chrono::steady_clock::now();
    const auto result = engine.value()->run_step({0, 0, step++}, commits ? &key : nullptr);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    if (!result.ok()) return state.SkipWithError(result.error().detail.c_str());
  }
  // The machine may be shared: the median forgets what other programs took.
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  const double median = seconds[seconds.size() / 2];
  state.counters["median_us"] = median * 1e6;
  state.counters["gmac_s"] = static_cast<double>(program.macs_per_step()) / median / 1e9;
  double& without = alone()[{state.range(0), state.range(1), state.range(2)}];
  if (!commits) without = median;
  if (without > 0) state.counters["x_alone"] = median / without;
}
BENCHMARK(bm_step)
    ->ArgNames({"batch", "threads", "optimiser", "commits"})
    ->ArgsProduct({{128, 256}, {1, 2}, {1, 2}, {0, 1}})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
}  // namespace gemmine::kernels
