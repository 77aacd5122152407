// What the CUDA engine needs of a device: the C boundary of the plug-in, and of its stand-ins.
//
// The plug-in (libgemmine_cuda.so) exports gemmine_cuda_abi() and gemmine_cuda_api(); tests hand in
// a DeviceApi of their own that runs the same kernels on the CPU.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch_gpt.h"
#include "kernels/cuda/peer_api.h"

namespace gemmine::kernels::cuda {

// Goes up with any change of this file, of launch*.h or of peer_api.h.
inline constexpr uint32_t kDeviceAbi = 4;
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
  Kernel kernel;
  uint32_t grid_x;
  uint32_t grid_y;
  uint32_t block;
  uint32_t shared_bytes;
  const void* const* arguments;  // one pointer for each of Signature<kernel>
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

struct Block {
  uint32_t threads;
  uint32_t shared_bytes;
};
constexpr Block block_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::gemm_forward:
    case Kernel::gemm_input_gradient:
    case Kernel::gemm_weight_gradient:
    case Kernel::gemm_int32:
    case Kernel::gemm_residual:
      return {kGemmThreads, kGemmShared};
    case Kernel::gather_rows:
    case Kernel::quantise_rows:
    case Kernel::stochastic_rows:
    case Kernel::column_runs:
    case Kernel::column_finish:
    case Kernel::embed_rows:
    case Kernel::activation_rows:
    case Kernel::norm_gradient_runs:
    case Kernel::sum_runs:
    case Kernel::quantise_heads:
    case Kernel::head_gradient_rows:
    case Kernel::loss_logits:
      return {kRowThreads, 0};
    case Kernel::norm_rows:
    case Kernel::norm_gradient_rows:
      return {kNormRows * 32, 0};
    case Kernel::quantise_columns:
    case Kernel::head_gradient_columns:
      return {kColumnParts * 32, 0};
    case Kernel::attention_forward:
    case Kernel::attention_by_query:
    case Kernel::attention_by_key:
      return {kHeadThreads, kHeadShared};
    case Kernel::sum_pieces:
      return {kSumPieces * 32, 0};
    case Kernel::clip_factor:
      return {32, 0};
    case Kernel::loss_rows:
      return {kLossRows * 32, 0};
    case Kernel::mean_loss:
      return {kMeanThreads, 0};
    case Kernel::hash_groups:
      return {kHashGroup, 0};
    case Kernel::hash_roots:
      return {kHashRootThreads, 0};
    case Kernel::layout_probe:
      return {32, kProbeShared};
    case Kernel::transpose:
    case Kernel::stochastic_columns:
    case Kernel::update_sgd:
    case Kernel::update_adamw:
    case Kernel::activation_gradient:
    case Kernel::round_head_gradients:
    case Kernel::token_gradient:
    case Kernel::position_gradient:
    case Kernel::scale_gradient:
      break;
  }
  return {kFlatThreads, 0};
}

struct Grid {
  uint32_t x;
  uint32_t y = 1;
};

// launch<Kernel::transpose>(api, context, grid, arguments…): arguments become the types of the
// kernel's signature, so that host and device cannot disagree on their sizes.
template <class>
struct Caller;
template <class... P>
struct Caller<void(P...)> {
  static DeviceStatus launch(const DeviceApi& api, void* context, Kernel kernel, Grid grid,
                             P... arguments) {
    const void* const packed[] = {&arguments...};
    const Block block = block_of(kernel);
    const Launch what{kernel, grid.x, grid.y, block.threads, block.shared_bytes, packed};
    return api.launch(context, &what);
  }
};
template <Kernel kKernel, class... Arguments>
DeviceStatus launch(const DeviceApi& api, void* context, Grid grid, Arguments... arguments) {
  return Caller<typename Signature<kKernel>::Type>::launch(api, context, kKernel, grid,
                                                           arguments...);
}

}  // namespace gemmine::kernels::cuda
