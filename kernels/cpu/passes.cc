#include "kernels/cpu/passes.h"

#include "kernels/cpu/cpu.h"

namespace gemmine::kernels {

const Passes& passes() {
#if defined(__x86_64__)
  switch (cpu_path()) {
    case CpuPath::avx512:
      return kPassesAvx512;
    case CpuPath::avx2:
      return kPassesAvx2;
    case CpuPath::portable:
      break;
  }
#endif
  return kPassesPortable;
}

}  // namespace gemmine::kernels
