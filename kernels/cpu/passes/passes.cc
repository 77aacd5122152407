#include "kernels/cpu/passes/passes.h"

#include <atomic>

#include "kernels/base/cpu.h"
#include "kernels/model/program.h"

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

UpdateRates update_rates(const Spec& spec, float lr, float power1, float power2) {
  return {
      .lr = lr,
      .beta1 = spec.beta1,
      .beta2 = spec.beta2,
      .eps = spec.eps,
      .wd = spec.wd,
      .rest1 = 1.0F - spec.beta1,
      .rest2 = 1.0F - spec.beta2,
      .unbias1 = 1.0F / (1.0F - power1),
      .unbias2 = 1.0F / (1.0F - power2),
  };
}

void raise(uint32_t& slot, uint32_t value) {
  std::atomic_ref<uint32_t> shared(slot);
  uint32_t seen = shared.load(std::memory_order_relaxed);
  while (seen < value && !shared.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace gemmine::kernels
