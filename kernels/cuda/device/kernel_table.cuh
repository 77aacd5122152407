// The text of all kernels by their numbers, for whoever launches them.
#pragma once

#include <type_traits>

#include "kernels/cuda/device/attention_gradient.cuh"
#include "kernels/cuda/device/gemm.cuh"
#include "kernels/cuda/device/gpt_heads.cuh"
#include "kernels/cuda/device/gpt_loss.cuh"
#include "kernels/cuda/device/gpt_rows.cuh"
#include "kernels/cuda/device/gradients.cuh"
#include "kernels/cuda/device/hash.cuh"
#include "kernels/cuda/device/rows.cuh"
#include "kernels/cuda/device/update.cuh"

namespace gemmine::kernels::cuda {

// visit(kernel number, pointer to function) for each kernel.
template <class Visitor>
void visit_kernels(Visitor& visit) {
  Kernels::visit([&visit]<class K>() {
    // By its type: with UBSan a function's address is no constant to g++.
    static_assert(!std::is_null_pointer_v<decltype(kFunction<K>)>,
                  "give it beside the kernel's text");
    visit(static_cast<uint32_t>(id_of<K>()), kFunction<K>);
  });
}

}  // namespace gemmine::kernels::cuda
