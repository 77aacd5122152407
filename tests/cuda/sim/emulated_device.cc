#include "tests/cuda/sim/emulated_device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "tests/cuda/sim/emulated_kernels.h"

namespace gemmine::test {
namespace {

using kernels::cuda::DeviceInfo;
using kernels::cuda::DeviceStatus;
using kernels::cuda::id_of;
using kernels::cuda::KernelId;
using kernels::cuda::KernelList;
using kernels::cuda::Launch;

EmulatedDevice device;
std::map<void*, uint64_t> blocks;
const char* last_reason = "";

DeviceStatus refuse(DeviceStatus status, const char* reason) {
  last_reason = reason;
  return status;
}

DeviceStatus count(uint32_t* devices) {
  *devices = 0;
  if (!device.driver) return refuse(DeviceStatus::no_driver, "the emulated driver is too old");
  *devices = device.devices;
  return DeviceStatus::ok;
}
DeviceStatus describe(uint32_t, DeviceInfo* info) {
  *info = {"emulated", device.architecture, 1, device.memory_bytes};
  return DeviceStatus::ok;
}
DeviceStatus open(uint32_t, void** context) {
  ++device.contexts;
  *context = &device;
  return DeviceStatus::ok;
}
void close(void*) {
  --device.contexts;
}
DeviceStatus allocate(void*, uint64_t bytes, void** memory) {
  if (bytes > device.memory_bytes - device.allocated)
    return refuse(DeviceStatus::out_of_memory, "the emulated memory is full");
  // Exactly as large as asked for, so that AddressSanitizer sees the end.
  if (posix_memalign(memory, 256, bytes) != 0) std::abort();
  std::memset(*memory, 0, bytes);
  blocks[*memory] = bytes;
  device.allocated += bytes;
  return DeviceStatus::ok;
}
void release(void*, void* memory) {
  device.allocated -= blocks.at(memory);
  blocks.erase(memory);
  std::free(memory);
}
DeviceStatus memory_free(void*, uint64_t* bytes) {
  *bytes = device.memory_bytes - device.allocated;
  return DeviceStatus::ok;
}
DeviceStatus move(void*, void* to, const void* from, uint64_t bytes) {
  if (device.launches_left == 0) return refuse(DeviceStatus::lost, "the emulated device is gone");
  std::memcpy(to, from, bytes);
  return DeviceStatus::ok;
}
// Unordered blocks share no threads, which ThreadSanitizer is slow to make; it has 8128 at most.
constexpr uint64_t kUnorderedThreadsMax = 600;
// Static shared memory is one variable for all blocks here, which would look like their race.
bool has_static_shared(KernelId id) {
  namespace kernel = kernels::cuda::kernel;
  const auto is_one_of = [id]<class... K>(KernelList<K...>) { return ((id == id_of<K>()) || ...); };
  return is_one_of(
      KernelList<kernel::GatherRows, kernel::QuantiseRows, kernel::StochasticRows,
                 kernel::Transpose, kernel::MeanLoss, kernel::HashGroups, kernel::ActivationRows,
                 kernel::QuantiseColumns, kernel::HeadGradientColumns, kernel::LossLogits,
                 kernel::TokenGradient>{});
}

DeviceStatus launch(void*, const Launch* what) {
  if (device.launches_left == 0) return refuse(DeviceStatus::lost, "the emulated device is gone");
  --device.launches_left;
  ++device.launches;
  ++device.schedule.seed;
  const uint64_t threads = uint64_t{what->grid_x} * what->grid_y * what->block;
  device.schedule.blocks_unordered = device.blocks_unordered && threads <= kUnorderedThreadsMax &&
                                     !has_static_shared(what->kernel);
  const KernelBody body = kernel_body(*what);
  const cudasim::Plant planted = cudasim::plant;
  if (what->kernel == device.planted_kernel && device.plant != cudasim::Plant::none)
    cudasim::plant = device.plant;
  cudasim::launch({what->grid_x, what->grid_y, 1}, {what->block, 1, 1},
                  body.static_shared + what->shared_bytes, body.run, device.schedule);
  cudasim::plant = planted;
  return DeviceStatus::ok;
}
const char* reason() {
  return last_reason;
}

constexpr kernels::cuda::DeviceApi kApi = {
    .abi = kernels::cuda::kDeviceAbi,
    .count = count,
    .describe = describe,
    .open = open,
    .close = close,
    .allocate = allocate,
    .release = release,
    .memory_free = memory_free,
    .upload = move,
    .download = move,
    .copy = move,
    .launch = launch,
    .reason = reason,
    .peer = [] { return static_cast<const kernels::cuda::PeerApi*>(nullptr); },
};

}  // namespace

EmulatedDevice& emulated_device() {
  return device;
}
const kernels::cuda::DeviceApi& emulated_api() {
  return kApi;
}

}  // namespace gemmine::test
