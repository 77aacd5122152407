// cuBLASLt as the plug-in offers it: the other opinion on our products, and the speed to beat.
//
// Opened at run time and never linked (it is hundreds of megabytes): whoever lacks it loses a
// comparison. No product of a proof goes through it.
#pragma once

#include <cstdint>

namespace gemmine::kernels::cuda {

enum class DeviceStatus : uint32_t;

struct PeerApi {
  // path: of the library, or null for where the system and the CUDA Toolkit keep it. Not `ok`:
  // there is none, or it is not of the version that the plug-in was built against.
  DeviceStatus (*load)(const char* path);
  uint32_t (*version)();  // as the library says it, 130100; 0 before load()
  // A product of one shape, C[m][n] = Σ A[m][k] · B[n][k], operands as gemm_int32 has them (rows of
  // `ld` bytes); n is a multiple of 4. context: an open one of DeviceApi.
  DeviceStatus (*plan)(void* context, uint32_t m, uint32_t n, uint32_t ld, void** plan);
  DeviceStatus (*run)(void* plan, const int8_t* a, const int8_t* b, int32_t* c);
  void (*release)(void* plan);
  const char* (*reason)();  // of this thread's last status that was not ok
};

}  // namespace gemmine::kernels::cuda
