// BLAKE3, each path beside Debian's b3sum on one thread and a cached file, measured in the same
// run; AVX2 beside its AVX2 too.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>

#include <benchmark/benchmark.h>

#include "kernels/base/cpu.h"
#include "kernels/base/thread_pool.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/forest.h"

namespace gemmine::kernels {
namespace {

constexpr size_t kPeerBytes = size_t{256} << 20;

double cpu_seconds_of_children() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// CPU time, as the benchmark counts for us: on a busy machine wall time would flatter one side.
double seconds_of_b3sum(const std::string& path, const std::string& preload) {
  const std::string command =
      "LD_PRELOAD='" + preload + "' b3sum --num-threads 1 '" + path + "' > /dev/null";
  const double before = cpu_seconds_of_children();
  const int status = std::system(command.c_str());
  return status == 0 ? cpu_seconds_of_children() - before : 0;
}

// Bytes a CPU second, the mean of five as ours is a mean, its start and file reads included; 0
// where there is no b3sum.
double measure_b3sum(const std::string& preload) {
  const auto path = std::filesystem::temp_directory_path() / "gemmine_blake3_bench";
  const Bytes bytes(kPeerBytes, 7);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), kPeerBytes);
  double seconds = 0;
  int runs = 0;
  for (int i = 0; i < 5; ++i) {
    const double once = seconds_of_b3sum(path.string(), preload);
    seconds += once;
    runs += once > 0 ? 1 : 0;
  }
  std::filesystem::remove(path);
  return runs > 0 ? runs * static_cast<double>(kPeerBytes) / seconds : 0;
}

double b3sum_speed() {
  static const double speed = measure_b3sum("");
  return speed;
}

// By the instructions that we use, where that can be arranged.
double b3sum_avx2_speed() {
#if defined(GEMMINE_HIDE_AVX512)
  static const double speed = measure_b3sum(GEMMINE_HIDE_AVX512);
  return speed;
#else
  return 0;
#endif
}

void report(benchmark::State& state, CpuPath path, size_t bytes) {
  using benchmark::Counter;
  const double total = static_cast<double>(state.iterations()) * static_cast<double>(bytes);
  state.SetBytesProcessed(static_cast<int64_t>(total));
  const double peer = b3sum_speed();
  if (peer > 0) state.counters["x_b3sum"] = Counter(total / peer, Counter::kIsRate);
  const double avx2 = path == CpuPath::avx2 ? b3sum_avx2_speed() : 0;
  if (avx2 > 0) state.counters["x_b3sum_avx2"] = Counter(total / avx2, Counter::kIsRate);
}

// Arguments: CPU path, bytes.
void bm_bytes(benchmark::State& state) {
  const auto path = static_cast<CpuPath>(state.range(0));
  if (!cpu_has(path)) return state.SkipWithError("this CPU lacks the path");
  set_cpu_path_for_test(path);
  const Bytes bytes(static_cast<size_t>(state.range(1)), 7);
  for (auto _ : state)
    benchmark::DoNotOptimize(blake3(bytes));
  state.SetLabel(std::string(to_text(path)));
  report(state, path, bytes.size());
}
BENCHMARK(bm_bytes)->ArgsProduct({{0, 1, 2}, {64, 1024, 16 << 10, 1 << 20, 64 << 20}});

// Arguments: CPU path, row stride in bytes. 4096 x 4096 int8, in tile order.
void bm_tiles(benchmark::State& state) {
  const auto path = static_cast<CpuPath>(state.range(0));
  if (!cpu_has(path)) return state.SkipWithError("this CPU lacks the path");
  set_cpu_path_for_test(path);
  const auto ld = static_cast<size_t>(state.range(1));
  const std::vector<int8_t> matrix(4096 * ld, 7);
  for (auto _ : state) {
    benchmark::DoNotOptimize(blake3_source(Blake3Mode::keyed(Digest{}),
                                           ChunkSource::of_tiles(matrix.data(), 4096, 4096, ld)));
  }
  state.SetLabel(std::string(to_text(path)));
  report(state, path, size_t{4096} * 4096);
}
BENCHMARK(bm_tiles)->ArgsProduct({{0, 1, 2}, {4096, 4160}});

// Argument: threads. The same matrix as an engine hashes it, strip by strip on all threads.
void bm_forest(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const std::vector<int8_t> matrix(size_t{4096} * 4096, 7);
  Blake3Forest forest({ChunkSource::of_tiles(matrix.data(), 4096, 4096, 4096)});
  Digest root;
  for (auto _ : state) {
    forest.begin({});
    pool.run(64, [&](size_t strip) { forest.hash_strip(0, 4 * strip, 4 * strip + 4); });
    forest.roots({&root, 1});
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * 4096 * 4096);
}
BENCHMARK(bm_forest)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace gemmine::kernels
