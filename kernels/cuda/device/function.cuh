// kFunction<kernel::X>: the text of kernel X. Each is given beside that text.
#pragma once

#include <cstddef>

#include "kernels/cuda/kernel_list.h"

namespace gemmine::kernels::cuda {

template <class K>
inline constexpr std::nullptr_t kFunction = nullptr;

}  // namespace gemmine::kernels::cuda
