#include <cstdio>

#include "kernels/cpu/cpu.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/cli/console.h"

namespace gemmine::miner {

int devices(const DevicesOptions& options) {
  const auto path = kernels::cpu_path_checked();
  if (!path) {
    std::fprintf(stderr, "gemmine devices: %s\n", path.error().detail.c_str());
    return 2;
  }
  const auto tested = kernels::self_test("cpu");
  const std::string name(kernels::to_text(path.value()));
  const char* result = tested ? "ok" : tested.error().detail.c_str();
  if (options.json) {
    std::printf("[{\"name\":\"cpu\",\"path\":\"%s\",\"threads\":%d,\"self_test\":\"%s\"}]\n",
                name.c_str(), default_threads(), tested ? "ok" : "failed");
  } else {
    std::printf("cpu     %s, %d threads, self-test %s\n", name.c_str(), default_threads(), result);
    std::printf("cuda    none: this build has no CUDA engine yet\n");
  }
  return tested ? 0 : 7;
}

}  // namespace gemmine::miner
