// One product of a step alone on the CPU, with the operands' order in memory that the step has.
#pragma once

#include "kernels/model/step_products.h"

namespace gemmine::kernels {

// threads >= 1.
std::unique_ptr<DeviceProduct> make_cpu_product(const StepProduct& product, int threads);

}  // namespace gemmine::kernels
