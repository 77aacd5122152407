// JSON from anywhere: refused with a reason a terminal may have, or a value that is written and
// read again as the same.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "kernels/base/json.h"
#include "kernels/base/printable.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kDepthMax = 8;
  const auto value = gemmine::Json::parse({reinterpret_cast<const char*>(data), size}, kDepthMax);
  if (!value) {
    const std::string& detail = value.error().detail;
    GEMMINE_CHECK(!detail.empty() && detail == gemmine::printable(detail));
    return 0;
  }
  const std::string text = value.value().dump();
  const auto again = gemmine::Json::parse(text, kDepthMax);
  GEMMINE_CHECK(again && again.value().dump() == text);
  return 0;
}
