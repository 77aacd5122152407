// libgemmine_cuda.so: DeviceApi by the CUDA run time.
#include <cstdio>
#include <memory>
#include <new>

#include <cuda_runtime.h>

#include "kernels/cuda/device/kernel_table.cuh"
#include "kernels/cuda/device_api.h"
#include "kernels/cuda/plugin/peer.h"
#include "kernels/cuda/plugin/plugin_context.h"

namespace gemmine::kernels::cuda {
namespace {

thread_local char last_reason[256] = "";

// Counts, as the run time's own errors do, everything it does not know as the loss of the device.
DeviceStatus status_of(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return DeviceStatus::ok;
  std::snprintf(last_reason, sizeof last_reason, "%s: %s (CUDA error %d)", doing,
                cudaGetErrorString(error), static_cast<int>(error));
  (void)cudaGetLastError();  // one that can be recovered from is not reported twice
  switch (error) {
    case cudaErrorMemoryAllocation:
      return DeviceStatus::out_of_memory;
    case cudaErrorInsufficientDriver:
    case cudaErrorStubLibrary:
    case cudaErrorInitializationError:
      return DeviceStatus::no_driver;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidPtx:
    case cudaErrorInvalidDevice:
      return DeviceStatus::unsupported;
    default:
      return DeviceStatus::lost;
  }
}

struct Functions {
  const void* of[Kernels::kCount] = {};
  template <class... P>
  void operator()(uint32_t number, void (*function)(P...)) {
    of[number] = reinterpret_cast<const void*>(function);
  }
};
const Functions& functions() {
  static const Functions made = [] {
    Functions f;
    visit_kernels(f);
    return f;
  }();
  return made;
}

DeviceStatus count(uint32_t* devices) {
  int found = 0;  // the run time leaves it alone when there is no driver
  const cudaError_t error = cudaGetDeviceCount(&found);
  *devices = 0;
  if (error == cudaErrorNoDevice) return DeviceStatus::ok;
  *devices = error == cudaSuccess ? static_cast<uint32_t>(found) : 0;
  return status_of(error, "counting devices");
}

DeviceStatus describe(uint32_t device, DeviceInfo* info) {
  cudaDeviceProp properties{};
  const cudaError_t error = cudaGetDeviceProperties(&properties, static_cast<int>(device));
  if (error != cudaSuccess) return status_of(error, "asking for a device's properties");
  *info = {};
  std::snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->architecture = static_cast<uint32_t>(properties.major * 10 + properties.minor);
  info->multiprocessors = static_cast<uint32_t>(properties.multiProcessorCount);
  info->memory_bytes = properties.totalGlobalMem;
  return DeviceStatus::ok;
}

DeviceStatus open(uint32_t device, void** context) {
  const int number = static_cast<int>(device);
  DeviceStatus status = status_of(cudaSetDevice(number), "choosing the device");
  if (status != DeviceStatus::ok) return status;
  // Whether this build has code for it shows here and not in the middle of a step.
  cudaFuncAttributes attributes{};
  for (const void* function : functions().of) {
    status = status_of(cudaFuncGetAttributes(&attributes, function), "loading the kernels");
    if (status != DeviceStatus::ok) return status;
  }
  cudaStream_t stream = nullptr;
  status = status_of(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  if (status != DeviceStatus::ok) return status;
  auto made = std::unique_ptr<Context>(new (std::nothrow) Context{number, stream});
  if (made == nullptr) {
    (void)cudaStreamDestroy(stream);
    std::snprintf(last_reason, sizeof last_reason, "no memory on the host");
    return DeviceStatus::out_of_memory;
  }
  *context = made.release();
  return DeviceStatus::ok;
}

void close(void* context) {
  const std::unique_ptr<Context> owner(static_cast<Context*>(context));
  (void)cudaStreamDestroy(stream_of(context));
}

DeviceStatus allocate(void* context, uint64_t bytes, void** memory) {
  const cudaStream_t stream = stream_of(context);
  DeviceStatus status = status_of(cudaMalloc(memory, bytes), "cudaMalloc");
  if (status != DeviceStatus::ok) return status;
  status = status_of(cudaMemsetAsync(*memory, 0, bytes, stream), "cudaMemsetAsync");
  if (status != DeviceStatus::ok) (void)cudaFree(*memory);
  return status;
}

void release(void* context, void* memory) {
  (void)stream_of(context);
  (void)cudaFree(memory);
}

DeviceStatus memory_free(void* context, uint64_t* bytes) {
  (void)stream_of(context);
  size_t free = 0;
  size_t total = 0;
  const cudaError_t error = cudaMemGetInfo(&free, &total);
  *bytes = free;
  return status_of(error, "asking for free memory");
}

DeviceStatus upload(void* context, void* to, const void* from, uint64_t bytes) {
  // From pageable memory: staged before the call returns.
  return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(context)),
                   "an upload");
}

DeviceStatus download(void* context, void* to, const void* from, uint64_t bytes) {
  const cudaStream_t stream = stream_of(context);
  const DeviceStatus status =
      status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "a download");
  if (status != DeviceStatus::ok) return status;
  return status_of(cudaStreamSynchronize(stream), "waiting for the device");
}

DeviceStatus copy(void* context, void* to, const void* from, uint64_t bytes) {
  return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(context)),
                   "a copy");
}

DeviceStatus launch(void* context, const Launch* what) {
  const cudaError_t error =
      cudaLaunchKernel(functions().of[static_cast<uint32_t>(what->kernel)],
                       dim3(what->grid_x, what->grid_y), dim3(what->block),
                       const_cast<void**>(what->arguments), what->shared_bytes, stream_of(context));
  return status_of(error, "a launch");
}

const char* reason() {
  return last_reason;
}

constexpr DeviceApi kApi = {
    .abi = kDeviceAbi,
    .count = count,
    .describe = describe,
    .open = open,
    .close = close,
    .allocate = allocate,
    .release = release,
    .memory_free = memory_free,
    .upload = upload,
    .download = download,
    .copy = copy,
    .launch = launch,
    .reason = reason,
    .peer = cublas_peer,
};

}  // namespace
}  // namespace gemmine::kernels::cuda

#pragma GCC visibility push(default)
extern "C" uint32_t gemmine_cuda_abi() {
  return gemmine::kernels::cuda::kDeviceAbi;
}
extern "C" const gemmine::kernels::cuda::DeviceApi* gemmine_cuda_api() {
  return &gemmine::kernels::cuda::kApi;
}
#pragma GCC visibility pop
