// A plug-in of a version that no program is built for.
#include <cstdint>

extern "C" {
uint32_t gemmine_cuda_abi();
const void* gemmine_cuda_api();
uint32_t gemmine_cuda_abi() {
  return 999999;
}
const void* gemmine_cuda_api() {
  return nullptr;
}
}
