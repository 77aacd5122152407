// What an open device is inside the plug-in.
#pragma once

#include <cuda_runtime_api.h>

namespace gemmine::kernels::cuda {

struct Context {
  int device;
  cudaStream_t stream;
};

// A thread may have several contexts, each of another device.
inline cudaStream_t stream_of(const void* context) {
  const auto* const c = static_cast<const Context*>(context);
  (void)cudaSetDevice(c->device);
  return c->stream;
}

}  // namespace gemmine::kernels::cuda
