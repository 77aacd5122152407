// Model files from anywhere: refused with the file's name, or finite numbers of a shape we can run.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/model_file.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView file{data, size};
  const auto program = gp::model_program(file, "fuzz.safetensors");
  if (!program) {
    GEMMINE_CHECK(program.error().detail.starts_with("fuzz.safetensors"));
    return 0;
  }
  const auto model = gp::parse_model(file, "fuzz.safetensors", program.value());
  if (!model) {
    GEMMINE_CHECK(model.error().detail.starts_with("fuzz.safetensors"));
    return 0;
  }
  if (!program.value().is_gpt()) {
    const auto sheet = gp::model_sheet(file, "fuzz.safetensors", program.value());
    GEMMINE_CHECK(sheet ? sheet.value().features == program.value().spec().widths.front()
                        : sheet.error().detail.starts_with("fuzz.safetensors"));
  }
  GEMMINE_CHECK(model.value().theta.size() * sizeof(float) < size);
  GEMMINE_CHECK(model.value().theta.size() == program.value().parameters());
  for (const float value : model.value().theta)
    GEMMINE_CHECK(std::isfinite(value));
  return 0;
}
