#include <cstdio>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/base/json.h"
#include "kernels/cli/output.h"
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"

namespace gemmine::miner {

using cli::fail;

ExitCode devices(const DevicesOptions& options) {
  const auto path = cpu_path_checked();
  if (!path) {
    return fail(ExitCode::command_line, path.error().detail);
  }
  Json rows = Json::array();
  bool all_passed = true;
  for (const kernels::DeviceReport& device : kernels::list_devices()) {
    Json row = {{"name", device.name}, {"description", device.description}};
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
  if (options.json) cli::print_json(rows);
  return all_passed ? ExitCode::ok : ExitCode::wrong_numbers;
}

}  // namespace gemmine::miner
