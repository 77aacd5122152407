// A device that is the fiber emulation, and that fails when a test asks it to.
#pragma once

#include <cstdint>

#include "kernels/cuda/device_api.h"
#include "tests/cuda/sim/cudasim.h"

namespace gemmine::test {

// Read by every call; tests set what they need and reset() at their end.
struct EmulatedDevice {
  cudasim::Schedule schedule;
  uint64_t memory_bytes = uint64_t{1} << 30;
  uint32_t architecture = 90;
  uint32_t devices = 1;
  uint64_t launches_left = ~uint64_t{0};  // then the device is lost
  bool driver = true;
  kernels::cuda::KernelId planted_kernel =
      kernels::cuda::id_of<kernels::cuda::kernel::LayoutProbe>();
  cudasim::Plant plant = cudasim::Plant::none;  // of that kernel alone
  bool blocks_unordered = false;                // for TSan, of kernels without static shared memory

  uint64_t allocated = 0;  // bytes now
  uint64_t contexts = 0;   // open now
  uint64_t launches = 0;
};
EmulatedDevice& emulated_device();
const kernels::cuda::DeviceApi& emulated_api();

}  // namespace gemmine::test
