#include "kernels/base/cpu.h"

#include <atomic>
#include <cstdlib>
#include <string>

namespace gemmine {
namespace {

CpuPath best_path() {
  return cpu_paths().back();
}

std::atomic<CpuPath>& chosen() {
  static std::atomic<CpuPath> path = [] {
    const Result<CpuPath> asked = cpu_path_checked();
    return asked ? asked.value() : best_path();
  }();
  return path;
}

}  // namespace

std::string_view to_text(CpuPath path) {
  switch (path) {
    case CpuPath::portable:
      return "portable";
    case CpuPath::avx2:
      return "avx2";
    case CpuPath::avx512:
      return "avx512";
  }
  return "unknown";
}

bool cpu_has(CpuPath path) {
  // The compiler's test also asks the operating system whether it saves the wide registers.
  switch (path) {
    case CpuPath::portable:
      return true;
    case CpuPath::avx2:
      // F16C has no name in clang 14's list; every CPU with AVX2 has it.
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CpuPath::avx512:
      return cpu_has(CpuPath::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  }
  return false;
}

std::vector<CpuPath> cpu_paths() {
  std::vector<CpuPath> out;
  for (const CpuPath path : {CpuPath::portable, CpuPath::avx2, CpuPath::avx512}) {
    if (cpu_has(path)) out.push_back(path);
  }
  return out;
}

Result<CpuPath> parse_cpu_path(std::string_view text) {
  if (text.empty()) return best_path();
  for (const CpuPath path : {CpuPath::portable, CpuPath::avx2, CpuPath::avx512}) {
    if (text != to_text(path)) continue;
    if (cpu_has(path)) return path;
    return Error{Errc::unsupported, "GEMMINE_CPU: this CPU has no " + std::string(text)};
  }
  return Error{Errc::invalid_argument,
               "GEMMINE_CPU: \"" + std::string(text) + "\" is not one of portable, avx2, avx512"};
}

Result<CpuPath> cpu_path_checked() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in our programs writes the environment.
  const char* asked = std::getenv("GEMMINE_CPU");
  return parse_cpu_path(asked == nullptr ? "" : asked);
}

CpuPath cpu_path() {
  return chosen().load(std::memory_order_relaxed);
}

void set_cpu_path_for_test(CpuPath path) {
  GEMMINE_CHECK(cpu_has(path));
  chosen().store(path, std::memory_order_relaxed);
}

}  // namespace gemmine
