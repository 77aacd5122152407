// Which inner loops this CPU gets.
#include <atomic>

#include "kernels/base/cpu.h"
#include "kernels/cpu/matmul/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gemmine::kernels {
namespace {

std::atomic<const MatmulKernels*> kernels_for_test{nullptr};

}  // namespace

bool cpu_has_avx_vnni() {
#if defined(__x86_64__)
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return cpu_has(CpuPath::avx2) && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 4 & 1) != 0;
#else
  return false;
#endif
}

const MatmulKernels& matmul_kernels() {
  const MatmulKernels* forced = kernels_for_test.load(std::memory_order_relaxed);
  if (forced != nullptr) return *forced;
#if defined(__x86_64__)
  static const bool has_avx_vnni = cpu_has_avx_vnni();
  switch (cpu_path()) {
    case CpuPath::avx512:
      return kMatmulAvx512;
    case CpuPath::avx2:
      return has_avx_vnni ? kMatmulAvxVnni : kMatmulAvx2;
    case CpuPath::portable:
      break;
  }
#endif
  return kMatmulPortable;
}

void set_matmul_kernels_for_test(const MatmulKernels* kernels) {
  kernels_for_test.store(kernels);
}

}  // namespace gemmine::kernels
