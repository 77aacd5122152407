// Jobs: what decodes is within bounds, and encodes back to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "verifier/records/job.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView input(data, size);
  const auto job = gemmine::verifier::decode_job(input);
  if (!job) return 0;
  GEMMINE_CHECK(std::ranges::equal(encode_job(job.value()), input));
  GEMMINE_CHECK(gemmine::kernels::Program::make(job.value().spec).ok());
  GEMMINE_CHECK(gemmine::verifier::share_size_ok(job.value().spec.steps_per_lease,
                                                 job.value().steps_per_share));
  return 0;
}
