// matmul_bench [threads] [kernels] [shapes]: our int8 product next to oneDNN's, one JSON row per
// shape; shapes: the name of some, as in kShapes.
//
// Both sides multiply the same row-major operands and pay for their own packing; `packed_gmacs` is
// ours with both operands packed beforehand. Runs alternate, so a busy machine slows both; `ratio`
// is of the medians, `best_ratio` of the best runs, which a busy machine disturbs least. One thread
// is timed by its CPU time, several by the clock on the wall. kernels: portable, avx2, avxvnni,
// avx512, or else the best of this CPU. oneDNN gets as many threads, and takes ONEDNN_MAX_CPU_ISA
// (AVX2, AVX2_VNNI, ...) from the environment.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

#include "kernels/base/cpu.h"
#include "kernels/cpu/matmul/matmul.h"

#if defined(GEMMINE_HAVE_DNNL)
#include <oneapi/dnnl/dnnl.h>
#endif

namespace gemmine::kernels {
namespace {

struct Shape {
  const char* what;
  size_t m, n, k;
};

// Squares, the layers of a transformer, and the demonstration network 784-512-512-10.
constexpr Shape kShapes[] = {
    {"square", 512, 512, 512},       {"square", 1024, 1024, 1024}, {"square", 2048, 2048, 2048},
    {"layer", 4096, 512, 784},       {"layer", 4096, 3072, 768},   {"layer", 768, 3072, 4096},
    {"demo", 128, 512, 784},         {"demo", 256, 512, 784},      {"demo", 128, 512, 512},
    {"demo", 256, 512, 512},         {"demo", 128, 10, 512},       {"demo", 256, 10, 512},
    {"demo gradient", 512, 784, 256}};

// How the operands lie in memory: which of the three products of a layer it is.
enum class Kind { forward, input_gradient, weight_gradient };
constexpr Kind kKinds[] = {Kind::forward, Kind::input_gradient, Kind::weight_gradient};
constexpr const char* kKindNames[] = {"forward", "input_gradient", "weight_gradient"};

std::vector<int8_t> random_operand(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> values(count);
  for (int8_t& value : values)
    value = static_cast<int8_t>(static_cast<int>(random() % 127) - 63);
  return values;
}

double now(bool one_thread) {
  timespec time{};
  clock_gettime(one_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The threads of the side that ran before may still be spinning, and the caches are its own: let
// the first fall asleep, and run once untimed for the second.
template <class F>
double seconds(bool one_thread, size_t repeats, F&& f) {
  if (!one_thread) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  f();
  const double start = now(one_thread);
  for (size_t i = 0; i < repeats; ++i) {
    f();
  }
  return (now(one_thread) - start) / static_cast<double>(repeats);
}

[[maybe_unused]] double best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct Case {
  Shape shape;
  Kind kind;
  std::vector<int8_t> a, b;
  std::vector<int32_t> ours, theirs;

  Int8View a_view() const {
    return kind == Kind::weight_gradient ? by_columns(a.data(), shape.m)
                                         : by_rows(a.data(), shape.k);
  }
  Int8View b_view() const {
    return kind == Kind::forward ? by_rows(b.data(), shape.k) : by_columns(b.data(), shape.n);
  }
};

void run_theirs([[maybe_unused]] Case& c) {
#if defined(GEMMINE_HAVE_DNNL)
  const auto m = static_cast<dnnl_dim_t>(c.shape.m);
  const auto n = static_cast<dnnl_dim_t>(c.shape.n);
  const auto k = static_cast<dnnl_dim_t>(c.shape.k);
  const bool a_transposed = c.kind == Kind::weight_gradient;
  const bool b_transposed = c.kind == Kind::forward;
  const int32_t no_offset = 0;
  dnnl_gemm_s8s8s32(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', 'F', m, n, k, 1.0f,
                    c.a.data(), a_transposed ? m : k, 0, c.b.data(), b_transposed ? k : n, 0, 0.0f,
                    c.theirs.data(), n, &no_offset);
#endif
}

void bench(const Shape& shape, Kind kind, ThreadPool& pool) {
  const double macs = static_cast<double>(shape.m) * shape.n * shape.k;
  Case c{shape,
         kind,
         random_operand(shape.m * shape.k, 1),
         random_operand(shape.n * shape.k, 2),
         std::vector<int32_t>(shape.m * shape.n),
         std::vector<int32_t>(shape.m * shape.n)};
  Packed a;
  Packed b;
  pack(c.a_view(), shape.m, shape.k, Side::left, a, pool);
  pack(c.b_view(), shape.n, shape.k, Side::right, b, pool);
  const auto run_ours = [&] {
    matmul(c.a_view(), c.b_view(), shape.m, shape.n, shape.k, c.ours.data(), shape.n, pool);
  };
  const auto run_packed = [&] { matmul(a, b, c.ours.data(), shape.n, pool); };
  const bool one_thread = pool.threads() == 1;
  run_theirs(c);
  const double once = seconds(one_thread, 1, run_ours);
  const auto repeats = static_cast<size_t>(std::clamp(0.02 / once, 1.0, 4000.0));
  const double turn = once * static_cast<double>(repeats);
  const auto rounds = static_cast<size_t>(std::clamp(0.6 / turn, 9.0, 41.0));
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> packed;
  for (size_t round = 0; round < rounds; ++round) {
    theirs.push_back(seconds(one_thread, repeats, [&] { run_theirs(c); }));
    ours.push_back(seconds(one_thread, repeats, run_ours));
    packed.push_back(seconds(one_thread, repeats, run_packed));
  }
  std::printf(R"({"shape":"%s","m":%zu,"n":%zu,"k":%zu,"product":"%s","kernels":"%s",)"
              R"("threads":%d,"gmacs":%.1f,"packed_gmacs":%.1f)",
              shape.what, shape.m, shape.n, shape.k, kKindNames[static_cast<int>(kind)],
              matmul_kernels().name, pool.threads(), macs / median(ours) * 1e-9,
              macs / median(packed) * 1e-9);
#if defined(GEMMINE_HAVE_DNNL)
  std::printf(
      R"(,"onednn_gmacs":%.1f,"ratio":%.3f,"best_gmacs":%.1f,"best_ratio":%.3f,"same_bits":%s)",
      macs / median(theirs) * 1e-9, median(theirs) / median(ours), macs / best(ours) * 1e-9,
      best(theirs) / best(ours), c.ours == c.theirs ? "true" : "false");
#endif
  std::printf("}\n");
  std::fflush(stdout);
}

bool choose_kernels(std::string_view name) {
#if defined(__x86_64__)
  if (name == "avx2" && cpu_has(CpuPath::avx2)) {
    return set_matmul_kernels_for_test(&kMatmulAvx2), true;
  }
  if (name == "avxvnni" && cpu_has_avx_vnni()) {
    return set_matmul_kernels_for_test(&kMatmulAvxVnni), true;
  }
  if (name == "avx512" && cpu_has(CpuPath::avx512)) {
    return set_matmul_kernels_for_test(&kMatmulAvx512), true;
  }
#endif
  if (name == "portable") return set_matmul_kernels_for_test(&kMatmulPortable), true;
  return name.empty() || name == "best";
}

// OpenMP looks at its number of threads when its library is loaded, before main.
void begin_again_with_threads([[maybe_unused]] char** argv, [[maybe_unused]] const char* threads) {
#if defined(GEMMINE_HAVE_DNNL)
  const char* now = std::getenv("OMP_NUM_THREADS");
  if (now != nullptr && std::string_view(now) == threads) return;
  setenv("OMP_NUM_THREADS", threads, 1);
  execv("/proc/self/exe", argv);
  std::perror("matmul_bench: cannot begin again with OMP_NUM_THREADS");
  std::exit(1);
#else
  std::fprintf(stderr, "built without oneDNN: no ratio (install libdnnl-dev, configure again)\n");
#endif
}

}  // namespace

int bench(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1 || threads > kPoolThreadsMax || !choose_kernels(argc > 2 ? argv[2] : "")) {
    std::fprintf(stderr,
                 "usage: matmul_bench [threads] [portable|avx2|avxvnni|avx512|best] [shapes]\n");
    return 2;
  }
  begin_again_with_threads(argv, argc > 1 ? argv[1] : "1");
  const std::string_view wanted = argc > 3 ? argv[3] : "";
  ThreadPool pool(threads);
  for (const Shape& shape : kShapes) {
    if (!wanted.empty() && wanted != shape.what) continue;
    for (const Kind kind : kKinds)
      bench(shape, kind, pool);
  }
  return 0;
}

}  // namespace gemmine::kernels

int main(int argc, char** argv) {
  return gemmine::kernels::bench(argc, argv);
}
