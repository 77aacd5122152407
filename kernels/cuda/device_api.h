// What the CUDA engine needs of a device: the C boundary of the plug-in, and of its stand-ins.
//
// The plug-in (libgemmine_cuda.so) exports gemmine_cuda_abi() and gemmine_cuda_api(); tests hand in
// a DeviceApi of their own that runs the same kernels on the CPU.
#pragma once

#include <cstdint>

#include "kernels/cuda/kernel_list.h"
#include "kernels/cuda/peer_api.h"

namespace gemmine::kernels::cuda {

// Goes up with any change of this file, of kernel_list.h, launch.h or peer_api.h.
inline constexpr uint32_t kDeviceAbi = 5;
inline constexpr uint32_t kArchitectureMin = 75;  // 10 · major + minor: the first with int8 mma

enum class DeviceStatus : uint32_t {
  ok,
  no_driver,      // none, or older than this build of the CUDA run time
  unsupported,    // no code for this device's architecture
  out_of_memory,  // of the device; it stays usable
  lost,           // everything on the device is gone
};

struct DeviceInfo {
  char name[128];
  uint32_t architecture;  // 10 · major + minor
  uint32_t multiprocessors;
  uint64_t memory_bytes;
};

struct Launch {
  KernelId kernel;
  uint32_t grid_x;
  uint32_t grid_y;
  uint32_t block;
  uint32_t shared_bytes;
  const void* const* arguments;  // one pointer for each argument of its Call
};

// Calls of one context come from one thread at a time and take effect in their order. Everything
// but download() may return before it is done; its failure then comes with a later call.
struct DeviceApi {
  uint32_t abi;  // stays the first member in every version
  DeviceStatus (*count)(uint32_t* devices);
  DeviceStatus (*describe)(uint32_t device, DeviceInfo* info);
  DeviceStatus (*open)(uint32_t device, void** context);
  void (*close)(void* context);
  DeviceStatus (*allocate)(void* context, uint64_t bytes, void** memory);  // zeroed, 256-aligned
  void (*release)(void* context, void* memory);
  DeviceStatus (*memory_free)(void* context, uint64_t* bytes);
  // `from` may change as soon as upload() has returned.
  DeviceStatus (*upload)(void* context, void* to, const void* from, uint64_t bytes);
  DeviceStatus (*download)(void* context, void* to, const void* from, uint64_t bytes);
  DeviceStatus (*copy)(void* context, void* to, const void* from, uint64_t bytes);
  DeviceStatus (*launch)(void* context, const Launch* launch);
  const char* (*reason)();  // of this thread's last status that was not ok
  const PeerApi* (*peer)();
};

inline constexpr char kAbiSymbol[] = "gemmine_cuda_abi";  // uint32_t ()
inline constexpr char kApiSymbol[] = "gemmine_cuda_api";  // const DeviceApi* ()

struct Grid {
  uint32_t x;
  uint32_t y = 1;
};

// launch<kernel::Transpose>(api, context, grid, arguments…): arguments become the types of the
// kernel's Call, so that host and device cannot disagree on their sizes.
template <class K, class Call = typename K::Call>
struct Launcher;
template <class K, class... P>
struct Launcher<K, void(P...)> {
  static DeviceStatus launch(const DeviceApi& api, void* context, Grid grid, P... arguments) {
    const void* const packed[] = {&arguments...};
    const Launch what{id_of<K>(), grid.x, grid.y, K::kBlock.threads, K::kBlock.shared_bytes,
                      packed};
    return api.launch(context, &what);
  }
};
template <class K, class... Arguments>
DeviceStatus launch(const DeviceApi& api, void* context, Grid grid, Arguments... arguments) {
  return Launcher<K>::launch(api, context, grid, arguments...);
}

}  // namespace gemmine::kernels::cuda
