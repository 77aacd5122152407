#include <cstdio>

#include <nlohmann/json.hpp>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"

namespace gemmine::miner {

int devices(const DevicesOptions& options) {
  const auto path = cpu_path_checked();
  if (!path) {
    std::fprintf(stderr, "gemmine devices: %s\n", path.error().detail.c_str());
    return 2;
  }
  nlohmann::json rows = nlohmann::json::array();
  bool all_passed = true;
  for (const kernels::DeviceReport& device : kernels::list_devices()) {
    nlohmann::json row = {{"name", device.name}, {"description", device.description}};
    std::string verdict = "not used: " + device.refusal;
    if (device.refusal.empty()) {
      const auto tested = kernels::self_test(device.name);
      all_passed = all_passed && tested.ok();
      verdict = tested ? "self-test ok" : "self-test: " + tested.error().detail;
      row["self_test"] = tested ? "ok" : "failed";
      if (!tested) row["reason"] = tested.error().detail;
    } else {
      row["reason"] = device.refusal;
    }
    if (device.name == "cpu") {
      row["path"] = to_text(path.value());
      row["threads"] = usable_cores();
    }
    if (!options.json)
      std::printf("%-8s%s%s%s\n", device.name.c_str(), device.description.c_str(),
                  device.description.empty() ? "" : ", ", verdict.c_str());
    rows.push_back(std::move(row));
  }
  if (options.json) std::printf("%s\n", rows.dump().c_str());
  return all_passed ? 0 : 7;
}

}  // namespace gemmine::miner
