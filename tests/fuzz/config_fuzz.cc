// Configuration and job files: whatever is typed, an error that names the file, or a value.
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/base/check.h"
#include "pool/config/job_file.h"
#include "pool/config/pool_config.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const bool job : {false, true}) {
    auto toml = gp::Toml::parse("some.toml", text);
    std::string detail;
    if (!toml) {
      detail = toml.error().detail;
    } else if (job) {
      const auto file = gp::parse_job_file(std::move(toml.value()));
      if (!file) detail = file.error().detail;
    } else {
      const auto config = gp::parse_pool_config(std::move(toml.value()));
      if (!config) detail = config.error().detail;
    }
    GEMMINE_CHECK(detail.empty() || detail.starts_with("some.toml"));
  }
  return 0;
}
