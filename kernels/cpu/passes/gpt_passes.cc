#include "kernels/cpu/passes/gpt_passes.h"

#include "kernels/base/cpu.h"

namespace gemmine::kernels {

const GptPasses& gpt_passes() {
#if defined(__x86_64__)
  switch (cpu_path()) {
    case CpuPath::avx512:
      return kGptPassesAvx512;
    case CpuPath::avx2:
      return kGptPassesAvx2;
    case CpuPath::portable:
      break;
  }
#endif
  return kGptPassesPortable;
}

}  // namespace gemmine::kernels
