// One product of a step alone on a GPU, by the kernels that the engine runs.
#pragma once

#include <string>

#include "kernels/cuda/device_api.h"
#include "kernels/model/step_products.h"

namespace gemmine::kernels::cuda {

// Errors: out_of_memory, unsupported, closed.
Result<std::unique_ptr<DeviceProduct>> make_product(const DeviceApi& api, uint32_t device,
                                                    std::string name, const StepProduct& product);

}  // namespace gemmine::kernels::cuda
