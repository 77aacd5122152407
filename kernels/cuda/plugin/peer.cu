// cuBLASLt for PeerApi; says that it is missing where the Toolkit had no header of it.
#include <array>
#include <cstdio>
#include <dlfcn.h>
#include <memory>
#include <new>
#include <string>

#include "kernels/cuda/device_api.h"
#include "kernels/cuda/plugin/peer.h"
#include "kernels/cuda/plugin/plugin_context.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif

namespace gemmine::kernels::cuda {
namespace {

thread_local char last_reason[512] = "";

DeviceStatus refuse(DeviceStatus status, const std::string& reason) {
  std::snprintf(last_reason, sizeof last_reason, "cuBLASLt: %s", reason.c_str());
  return status;
}
const char* reason() {
  return last_reason;
}

#if __has_include(<cublasLt.h>)

// The types of the header, the addresses of the library.
struct Library {
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtGetStatusString) text;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  uint32_t version;
};
Library library{};

template <class F>
bool find(void* opened, const char* name, F* function) {
  *function = reinterpret_cast<F>(dlsym(opened, name));
  return *function != nullptr;
}

bool find_all(void* opened, Library* l) {
  return find(opened, "cublasLtGetVersion", &l->get_version) &&
         find(opened, "cublasLtGetStatusString", &l->text) &&
         find(opened, "cublasLtCreate", &l->create) &&
         find(opened, "cublasLtDestroy", &l->destroy) &&
         find(opened, "cublasLtMatmul", &l->matmul) &&
         find(opened, "cublasLtMatmulAlgoGetHeuristic", &l->heuristic) &&
         find(opened, "cublasLtMatmulDescCreate", &l->desc_create) &&
         find(opened, "cublasLtMatmulDescDestroy", &l->desc_destroy) &&
         find(opened, "cublasLtMatmulDescSetAttribute", &l->desc_set) &&
         find(opened, "cublasLtMatrixLayoutCreate", &l->layout_create) &&
         find(opened, "cublasLtMatrixLayoutDestroy", &l->layout_destroy) &&
         find(opened, "cublasLtMatmulPreferenceCreate", &l->preference_create) &&
         find(opened, "cublasLtMatmulPreferenceDestroy", &l->preference_destroy) &&
         find(opened, "cublasLtMatmulPreferenceSetAttribute", &l->preference_set);
}

DeviceStatus load(const char* path) {
  // Only the header's major version: between two of them structures and numbers may change.
  const std::string file = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  const std::array<std::string, 3> usual = {
      file, "/usr/local/cuda-" + std::to_string(CUBLAS_VER_MAJOR) + "/lib64/" + file,
      "/usr/local/cuda/lib64/" + file};
  void* opened = nullptr;
  std::string why;
  if (path != nullptr) opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  for (size_t i = 0; path == nullptr && opened == nullptr && i < usual.size(); ++i) {
    opened = dlopen(usual[i].c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr && i == 0) why = dlerror();
  }
  if (opened == nullptr)
    return refuse(DeviceStatus::unsupported, (path != nullptr ? std::string(dlerror()) : why) +
                                                 "; the cuBLAS of CUDA Toolkit " +
                                                 std::to_string(CUBLAS_VER_MAJOR) + " has it");
  Library found{};
  if (!find_all(opened, &found)) {
    (void)dlclose(opened);
    return refuse(DeviceStatus::unsupported, (path != nullptr ? path : file) + " is not it");
  }
  found.version = static_cast<uint32_t>(found.get_version());
  if (found.version / 10000 != CUBLAS_VER_MAJOR) {
    (void)dlclose(opened);
    return refuse(DeviceStatus::unsupported, "its version is " + std::to_string(found.version) +
                                                 ", the plug-in was built against " +
                                                 std::to_string(CUBLAS_VERSION));
  }
  library = found;  // Never closed again: the driver's threads may be running in it.
  return DeviceStatus::ok;
}

uint32_t version() {
  return library.version;
}

DeviceStatus status_of(cublasStatus_t status, const char* doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return DeviceStatus::ok;
  const std::string text = std::string(doing) + ": " + library.text(status);
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED:
      return refuse(DeviceStatus::out_of_memory, text);
    case CUBLAS_STATUS_EXECUTION_FAILED:
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return refuse(DeviceStatus::lost, text);
    default:
      return refuse(DeviceStatus::unsupported, text);
  }
}

constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;  // what its manual advises for Hopper

// Column-major, C is Bᵀ·A with both operands as they lie: the one form that its int8 kernels take.
struct Plan {
  const void* context = nullptr;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr;
  cublasLtMatrixLayout_t b = nullptr;
  cublasLtMatrixLayout_t c = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t choice{};
  void* workspace = nullptr;

  ~Plan() {
    if (workspace != nullptr) (void)cudaFree(workspace);
    if (preference != nullptr) (void)library.preference_destroy(preference);
    for (cublasLtMatrixLayout_t layout : {a, b, c})
      if (layout != nullptr) (void)library.layout_destroy(layout);
    if (desc != nullptr) (void)library.desc_destroy(desc);
    if (handle != nullptr) (void)library.destroy(handle);
  }
};

cublasStatus_t describe(Plan& p, uint32_t m, uint32_t n, uint32_t ld) {
  const cublasOperation_t transposed = CUBLAS_OP_T;
  cublasStatus_t status = library.create(&p.handle);
  const auto then = [&status](auto&& f) {
    if (status == CUBLAS_STATUS_SUCCESS) status = f();
  };
  then([&] { return library.desc_create(&p.desc, CUBLAS_COMPUTE_32I, CUDA_R_32I); });
  then([&] {
    return library.desc_set(p.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
  });
  then([&] { return library.layout_create(&p.a, CUDA_R_8I, ld, n, ld); });
  then([&] { return library.layout_create(&p.b, CUDA_R_8I, ld, m, ld); });
  then([&] { return library.layout_create(&p.c, CUDA_R_32I, n, m, n); });
  then([&] { return library.preference_create(&p.preference); });
  then([&] {
    return library.preference_set(p.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                  &kWorkspaceBytes, sizeof kWorkspaceBytes);
  });
  int found = 0;
  then([&] {
    return library.heuristic(p.handle, p.desc, p.a, p.b, p.c, p.c, p.preference, 1, &p.choice,
                             &found);
  });
  if (status == CUBLAS_STATUS_SUCCESS && found == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  return status;
}

DeviceStatus plan(void* context, uint32_t m, uint32_t n, uint32_t ld, void** out) {
  if (library.matmul == nullptr) return refuse(DeviceStatus::unsupported, "not loaded");
  auto made = std::unique_ptr<Plan>(new (std::nothrow) Plan);
  if (made == nullptr) return refuse(DeviceStatus::out_of_memory, "no memory on the host");
  made->context = context;
  (void)stream_of(context);
  const DeviceStatus status = status_of(describe(*made, m, n, ld), "planning a product");
  if (status != DeviceStatus::ok) return status;
  if (cudaMalloc(&made->workspace, kWorkspaceBytes) != cudaSuccess) {
    (void)cudaGetLastError();
    return refuse(DeviceStatus::out_of_memory, "no memory for its workspace");
  }
  *out = made.release();
  return DeviceStatus::ok;
}

DeviceStatus run(void* plan, const int8_t* a, const int8_t* b, int32_t* c) {
  const auto* const p = static_cast<const Plan*>(plan);
  const int32_t one = 1;
  const int32_t zero = 0;
  return status_of(
      library.matmul(p->handle, p->desc, &one, b, p->a, a, p->b, &zero, c, p->c, c, p->c,
                     &p->choice.algo, p->workspace, kWorkspaceBytes, stream_of(p->context)),
      "a product");
}

void release(void* plan) {
  const std::unique_ptr<Plan> owner(static_cast<Plan*>(plan));
}

#else

DeviceStatus load(const char*) {
  return refuse(
      DeviceStatus::unsupported,
      "the plug-in was built without cublasLt.h (it comes with the cuBLAS of the Toolkit)");
}
uint32_t version() {
  return 0;
}
DeviceStatus plan(void*, uint32_t, uint32_t, uint32_t, void**) {
  return load(nullptr);
}
DeviceStatus run(void*, const int8_t*, const int8_t*, int32_t*) {
  return load(nullptr);
}
void release(void*) {}

#endif

constexpr PeerApi kPeer = {.load = load,
                           .version = version,
                           .plan = plan,
                           .run = run,
                           .release = release,
                           .reason = reason};

}  // namespace

const PeerApi* cublas_peer() {
  return &kPeer;
}

}  // namespace gemmine::kernels::cuda
