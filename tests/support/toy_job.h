// The toy job of the golden files with everything around its training program.
#pragma once

#include "kernels/hash/blake3.h"
#include "tests/support/toy.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::test {

// What toy jobs have in common: how they are audited and paid.
inline verifier::Job toy_terms() {
  verifier::Job job;
  job.steps_per_share = 2;
  job.audit = {.batch_leases = 3,
               .first_batch = 2,
               .threads = 1,
               .thread_blocks = 4,
               .replays_ppm = 1'000'000,
               .first_audits = 1,
               .now_ppm = 0,
               .fail_ppm = 600'000,
               .silent_free = 25,
               .lease_ms = 60'000,
               .answer_ms = 10'000};
  job.price_per_tmac = 1'000'000'000'000;
  job.fee_ppm = 20'000;
  return job;
}

inline verifier::Job toy_job() {
  verifier::Job job = toy_terms();
  job.name = "toy";
  job.spec = toy_spec(kernels::Optimiser::sgd);
  job.train_address = kernels::blake3(toy_train());
  job.test_address = kernels::blake3(toy_test());
  job.test_records = 50;
  return job;
}

inline verifier::Identity toy_identity(uint8_t byte) {
  Digest seed;
  seed.bytes.fill(byte);
  return verifier::Identity::from_seed(seed);
}

}  // namespace gemmine::test
