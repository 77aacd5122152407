#include "kernels/cuda/host/plugin_loader.h"

#include <array>
#include <charconv>
#include <dlfcn.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "kernels/base/cpu.h"
#include "kernels/cuda/host/gpt_engine.h"
#include "kernels/cuda/host/mlp_engine.h"
#include "kernels/cuda/host/product.h"

namespace gemmine::kernels {
namespace {

constexpr char kPluginFile[] = "libgemmine_cuda.so";

const cuda::DeviceApi* api_for_test = nullptr;

// Where the plug-in may be: beside the program (a build), where `cmake --install` puts it, then
// wherever the system looks for libraries.
std::vector<std::string> plugin_places() {
  std::array<char, 4096> path;
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return {kPluginFile};
  const std::string program(path.data(), static_cast<size_t>(length));
  const std::string folder = program.substr(0, program.rfind('/') + 1);
  return {folder + kPluginFile, folder + "../lib/gemmine/" + kPluginFile, kPluginFile};
}

std::string version_of(uint32_t architecture) {
  return std::to_string(architecture / 10) + "." + std::to_string(architecture % 10);
}

// Empty when the device can be used.
std::string refusal_of(const cuda::DeviceInfo& info) {
  if (info.architecture >= cuda::kArchitectureMin) return {};
  return "compute capability " + version_of(info.architecture) + "; int8 tensor cores need " +
         version_of(cuda::kArchitectureMin) + " (Turing) or later";
}

std::string description_of(const cuda::DeviceInfo& info) {
  return std::string(info.name) + ", compute capability " + version_of(info.architecture) + ", " +
         std::to_string(info.multiprocessors) + " multiprocessors, " +
         std::to_string(info.memory_bytes >> 20) + " MiB";
}

std::string name_of(uint32_t device) {
  return "cuda:" + std::to_string(device);
}

// Errors: unsupported, out_of_memory, closed.
Result<const cuda::DeviceApi*> usable_device(uint32_t device) {
  const std::string name = name_of(device);
  const auto api = find_cuda_plugin();
  if (!api) return Error{api.error().code, name + ": " + api.error().detail};
  uint32_t devices = 0;
  cuda::DeviceStatus status = api.value()->count(&devices);
  if (status != cuda::DeviceStatus::ok)
    return cuda::device_error(status, name + ": " + api.value()->reason());
  if (device >= devices)
    return Error{Errc::unsupported,
                 name + ": there are " + std::to_string(devices) + " CUDA devices"};
  cuda::DeviceInfo info{};
  status = api.value()->describe(device, &info);
  if (status != cuda::DeviceStatus::ok)
    return cuda::device_error(status, name + ": " + api.value()->reason());
  if (const std::string refusal = refusal_of(info); !refusal.empty())
    return Error{Errc::unsupported, name + ": " + refusal};
  return api.value();
}

}  // namespace

Result<const cuda::DeviceApi*> load_cuda_plugin(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = dlerror();
    return Error{Errc::unsupported,
                 "CUDA plug-in: " + std::string(why != nullptr ? why : "cannot be loaded")};
  }
  // Never closed again: the driver's threads may be running in it.
  using Abi = uint32_t (*)();
  using Api = const cuda::DeviceApi* (*)();
  const auto abi = reinterpret_cast<Abi>(dlsym(library, cuda::kAbiSymbol));
  const auto api = reinterpret_cast<Api>(dlsym(library, cuda::kApiSymbol));
  if (abi == nullptr || api == nullptr)
    return Error{Errc::unsupported, "CUDA plug-in: " + path + " is not one"};
  if (abi() != cuda::kDeviceAbi)
    return Error{Errc::unsupported, "CUDA plug-in: " + path + " has version " +
                                        std::to_string(abi()) + ", this program needs " +
                                        std::to_string(cuda::kDeviceAbi) +
                                        "; install both from one build"};
  return api();
}

Result<const cuda::DeviceApi*> find_cuda_plugin() {
  if (api_for_test != nullptr) return api_for_test;
  const std::vector<std::string> places = plugin_places();
  for (const std::string& place : places) {
    if (access(place.c_str(), F_OK) == 0) return load_cuda_plugin(place);
  }
  return load_cuda_plugin(places.back());
}

std::optional<uint32_t> cuda_number(std::string_view name) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Result<std::unique_ptr<Engine>> make_cuda_engine(uint32_t device, const Program& program,
                                                 ByteView train_records) {
  const std::string name = name_of(device);
  const auto api = usable_device(device);
  if (!api) return api.error();
  if (program.is_gpt())
    return cuda::DeviceEngine::make<cuda::CudaGptEngine>(*api.value(), device, name, program,
                                                         train_records);
  return cuda::DeviceEngine::make<cuda::CudaEngine>(*api.value(), device, name, program,
                                                    train_records);
}

Result<std::unique_ptr<DeviceProduct>> make_cuda_product(uint32_t device,
                                                         const StepProduct& product) {
  const auto api = usable_device(device);
  if (!api) return api.error();
  return cuda::make_product(*api.value(), device, name_of(device), product);
}

std::vector<DeviceReport> list_devices() {
  std::vector<DeviceReport> out = {{"cpu", std::string(to_text(cpu_path())) + " code", {}}};
  const auto api = find_cuda_plugin();
  if (!api) {
    out.push_back({"cuda", {}, api.error().detail});
    return out;
  }
  uint32_t devices = 0;
  if (api.value()->count(&devices) != cuda::DeviceStatus::ok) {
    out.push_back({"cuda", {}, api.value()->reason()});
    return out;
  }
  if (devices == 0) out.push_back({"cuda", {}, "the driver knows no CUDA device"});
  for (uint32_t i = 0; i < devices; ++i) {
    DeviceReport report{name_of(i), {}, {}};
    cuda::DeviceInfo info{};
    if (api.value()->describe(i, &info) == cuda::DeviceStatus::ok) {
      report.description = description_of(info);
      report.refusal = refusal_of(info);
    } else {
      report.refusal = api.value()->reason();
    }
    out.push_back(std::move(report));
  }
  return out;
}

void set_cuda_api_for_test(const cuda::DeviceApi* api) {
  api_for_test = api;
}

}  // namespace gemmine::kernels
