// The kernels as C++ compiled for the fibers.
#include "tests/cuda/sim/emulated_kernels.h"

#include <array>
#include <utility>

#include "kernels/cuda/device/kernel_table.cuh"

namespace gemmine::test {
namespace {

template <class... P, size_t... kIndex>
void call(void (*kernel)(P...), const void* const* arguments, std::index_sequence<kIndex...>) {
  kernel(*static_cast<const P*>(arguments[kIndex])...);
}

// One entry for each kernel: how to call it with packed arguments.
struct Table {
  std::array<std::function<void(const void* const*)>, kernels::cuda::Kernels::kCount> entries;
  template <class... P>
  void operator()(uint32_t number, void (*kernel)(P...)) {
    entries[number] = [kernel](const void* const* arguments) {
      call(kernel, arguments, std::index_sequence_for<P...>{});
    };
  }
};
const Table& table() {
  static const Table made = [] {
    Table t;
    kernels::cuda::visit_kernels(t);
    return t;
  }();
  return made;
}

}  // namespace

KernelBody kernel_body(const kernels::cuda::Launch& launch) {
  const auto& entry = table().entries[static_cast<uint32_t>(launch.kernel)];
  return {[&entry, &launch] { entry(launch.arguments); }, 0};  // __shared__ is a static there
}

}  // namespace gemmine::test
