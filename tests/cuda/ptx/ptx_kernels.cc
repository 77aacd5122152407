// The kernels as the PTX that nvcc made of them, translated by ptx2cpp.py into the shared
// libraries that the environment names in GEMMINE_PTX_LIBRARY, with colons between them.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cuda/ptx/ptx_runtime.h"
#include "tests/cuda/sim/emulated_kernels.h"

namespace gemmine::test {
namespace {

using kernels::cuda::Kernels;

[[noreturn]] void refuse(const char* what, const char* why) {
  std::fprintf(stderr, "ptx: %s: %s\n", what, why);
  std::exit(cudasim::kFailedExit);
}

using Table = std::array<const ptx::Kernel*, Kernels::kCount>;
void add_library(Table& table, const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW);
  if (library == nullptr) refuse(path.c_str(), dlerror());
  const auto* kernel = static_cast<const ptx::Kernel*>(dlsym(library, "ptx_kernels"));
  if (kernel == nullptr) refuse(path.c_str(), "no ptx_kernels");
  for (; kernel->name != nullptr; ++kernel) {
    for (size_t i = 0; i < Kernels::kCount; ++i) {
      // Mangled: the length, the name, and E, the end of its namespaces.
      const std::string name(Kernels::kNames[i]);
      const std::string part = std::to_string(name.size()) + name + "E";
      const bool is_it = std::strstr(kernel->name, part.c_str()) != nullptr;
      if (is_it && table[i] == nullptr) table[i] = kernel;
    }
  }
}

// Of several libraries, the first that has a kernel gives it.
Table load() {
  const char* const paths = std::getenv("GEMMINE_PTX_LIBRARY");
  if (paths == nullptr)
    refuse("GEMMINE_PTX_LIBRARY", "not set; tests/cuda/ptx/ptx_test.py sets it");
  Table table{};
  std::istringstream list(paths);
  for (std::string path; std::getline(list, path, ':');)
    add_library(table, path);
  return table;
}

}  // namespace

KernelBody kernel_body(const kernels::cuda::Launch& launch) {
  static const Table table = load();
  const auto number = static_cast<size_t>(launch.kernel);
  const ptx::Kernel* const kernel = table.at(number);
  if (kernel == nullptr)
    refuse(std::string(Kernels::kNames.at(number)).c_str(), "not in the translated PTX");
  if (kernel->threads_max != 0 && launch.block > kernel->threads_max)
    refuse(kernel->name, "launched with more threads than its bounds allow");
  const auto arguments = std::make_shared<std::vector<char>>();
  for (uint32_t i = 0; i < kernel->param_count; ++i) {
    const ptx::Param param = kernel->params[i];
    arguments->resize(param.offset + param.bytes);
    std::memcpy(arguments->data() + param.offset, launch.arguments[i], param.bytes);
  }
  ptx::shared_bytes = kernel->static_shared + launch.shared_bytes;
  return {[kernel, arguments] { kernel->run(arguments->data()); }, kernel->static_shared};
}

}  // namespace gemmine::test
