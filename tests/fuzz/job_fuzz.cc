// Jobs: what decodes is within bounds, and encodes back to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "verifier/records/job.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView input(data, size);
  const auto work = gemmine::verifier::Work::decode(input);
  if (!work) return 0;
  const gemmine::verifier::Job& job = work.value().job();
  GEMMINE_CHECK(std::ranges::equal(work.value().bytes(), input));
  GEMMINE_CHECK(std::ranges::equal(encode_job(job), input));
  GEMMINE_CHECK(work.value().program().spec() == job.spec);
  GEMMINE_CHECK(gemmine::verifier::share_size_ok(job.spec.steps_per_lease, job.steps_per_share));
  GEMMINE_CHECK(gemmine::verifier::Work::make(job).ok());
  return 0;
}
