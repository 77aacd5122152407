#include "kernels/base/cpu.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

TEST(CpuPath, EveryPathOfThisCpuParsesToItself) {
  ASSERT_FALSE(cpu_paths().empty());
  EXPECT_EQ(cpu_paths().front(), CpuPath::portable);
  for (const CpuPath path : cpu_paths()) {
    const Result<CpuPath> parsed = parse_cpu_path(to_text(path));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed.value(), path);
  }
}

TEST(CpuPath, EmptyTextMeansTheBestPath) {
  EXPECT_EQ(parse_cpu_path("").value(), cpu_paths().back());
}

TEST(CpuPath, RefusesUnknownText) {
  for (const char* text : {"AVX2", "avx", "avx512 ", "sse2", "best"}) {
    const Result<CpuPath> parsed = parse_cpu_path(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
  }
}

TEST(CpuPath, RefusesAPathTheCpuLacks) {
  for (const CpuPath path : {CpuPath::avx2, CpuPath::avx512}) {
    if (cpu_has(path)) continue;
    EXPECT_EQ(parse_cpu_path(to_text(path)).error().code, Errc::unsupported);
  }
}

TEST(CpuPath, ReportsABadEnvironmentAndStillRuns) {
  const char* before = std::getenv("GEMMINE_CPU");
  const std::string kept = before == nullptr ? "" : before;
  setenv("GEMMINE_CPU", "fastest", 1);
  EXPECT_FALSE(cpu_path_checked().ok());
  EXPECT_TRUE(cpu_has(cpu_path()));
  setenv("GEMMINE_CPU", kept.c_str(), 1);
}

TEST(CpuPath, TestsMayChangeThePath) {
  const CpuPath before = cpu_path();
  for (const CpuPath path : cpu_paths()) {
    set_cpu_path_for_test(path);
    EXPECT_EQ(cpu_path(), path);
  }
  set_cpu_path_for_test(before);
}

}  // namespace
}  // namespace gemmine
