// Which instruction set the CPU kernels use: the best one here, or what GEMMINE_CPU asks for.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace gemmine {

// Every path computes the same bits; the order is from the one to believe to the fastest.
enum class CpuPath : unsigned char {
  portable,  // plain C++, any machine
  avx2,      // AVX2, FMA and F16C
  avx512,    // AVX-512 F, BW, VL, DQ and VNNI
};

std::string_view to_text(CpuPath path);
bool cpu_has(CpuPath path);
// Every path this CPU has, portable first; tests compare all of them.
std::vector<CpuPath> cpu_paths();

// "portable", "avx2" or "avx512"; the empty text means the best path of this CPU.
// Errors: invalid_argument for any other text, unsupported for a path this CPU lacks.
Result<CpuPath> parse_cpu_path(std::string_view text);

// What GEMMINE_CPU asks for, with its errors, for programs to report at start.
Result<CpuPath> cpu_path_checked();

// The path in use: GEMMINE_CPU read once at first use; if it asks for what cannot be, the best
// path.
CpuPath cpu_path();

// Changes cpu_path() for the whole process, so one test compares paths. The CPU must have the path.
void set_cpu_path_for_test(CpuPath path);

}  // namespace gemmine
