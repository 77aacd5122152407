// R data from anywhere: refused with the file's name, or a value no larger than what came in.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/rds.h"

namespace gp = gemmine::pool;

namespace {

size_t elements(const gp::RdsValue& value) {
  size_t sum = value.integers.size() + value.texts.size() + value.names.size();
  for (const gp::RdsValue& item : value.items)
    sum += 1 + elements(item);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = gp::parse_rds({data, size}, "fuzz.rds");
  if (!value) {
    GEMMINE_CHECK(value.error().detail.starts_with("fuzz.rds"));
    return 0;
  }
  GEMMINE_CHECK(4 * elements(value.value()) <= size);
  return 0;
}
