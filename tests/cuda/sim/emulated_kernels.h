// What an emulated launch runs: the kernels' source (emulated_kernels.cc) or the PTX that nvcc made
// of it (ptx_kernels.cc). A test program links one of the two.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/cuda/device_api.h"
#include "tests/cuda/sim/cudasim.h"

namespace gemmine::test {

struct KernelBody {
  std::function<void()> run;  // as one thread; its arguments are those of the launch
  uint32_t static_shared;     // bytes it needs before the dynamic ones
};
// Valid as long as `launch` is.
KernelBody kernel_body(const kernels::cuda::Launch& launch);

}  // namespace gemmine::test
