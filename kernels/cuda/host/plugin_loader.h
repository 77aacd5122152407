// The way to GPUs: the plug-in libgemmine_cuda.so, loaded when it and a driver are there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/device_api.h"
#include "kernels/engine.h"
#include "kernels/model/step_products.h"

namespace gemmine::kernels {

// path: of the plug-in; it stays loaded. Errors: unsupported, saying what is missing or which
// version it has.
Result<const cuda::DeviceApi*> load_cuda_plugin(const std::string& path);

// The one beside this program, else the system's.
Result<const cuda::DeviceApi*> find_cuda_plugin();

// N of "cuda:<N>"; nothing for any other name.
std::optional<uint32_t> cuda_number(std::string_view name);

// An engine on GPU `device` named "cuda:<device>", which has passed its layout probe.
// Errors: unsupported (no plug-in, no driver, no such device, too old a device), out_of_memory,
// closed (the device is lost), invalid (it computes other bits).
Result<std::unique_ptr<Engine>> make_cuda_engine(uint32_t device, const Program& program,
                                                 ByteView train_records);
// A product there. Errors: the same, but `invalid`: nothing is probed.
Result<std::unique_ptr<DeviceProduct>> make_cuda_product(uint32_t device,
                                                         const StepProduct& product);

struct DeviceReport {
  std::string name;         // "cpu", "cuda:0"; "cuda" where there is no device to name
  std::string description;  // for people
  std::string refusal;      // why it cannot be used, for people; empty: it can
};
// "cpu" first, then every GPU, or one entry that says why there is none. Computes nothing yet:
// make_engine and self_test say whether a device does so correctly.
std::vector<DeviceReport> list_devices();

// Instead of the plug-in, until null comes. Not for use while an engine lives.
void set_cuda_api_for_test(const cuda::DeviceApi* api);

}  // namespace gemmine::kernels
