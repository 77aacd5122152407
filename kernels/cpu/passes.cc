#include "kernels/cpu/passes.h"

#include <atomic>

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

void raise(uint32_t& slot, uint32_t value) {
  std::atomic_ref<uint32_t> shared(slot);
  uint32_t seen = shared.load(std::memory_order_relaxed);
  while (seen < value && !shared.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace gemmine::kernels
