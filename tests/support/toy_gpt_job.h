// A job around the toy language models.
#pragma once

#include "kernels/blake3.h"
#include "tests/support/toy_gpt.h"
#include "verifier/job.h"

namespace gemmine::test {

inline verifier::Job toy_gpt_job(const kernels::Spec& spec) {
  const Bytes tokens = testing::toy_tokens(spec);
  verifier::Job job;
  job.name = spec.gpt.tied ? "toy-gpt-tied" : "toy-gpt";
  job.spec = spec;
  job.train_address = kernels::blake3(tokens);
  job.test_address = job.train_address;
  job.test_records = spec.records;
  job.steps_per_share = 2;
  job.audit = {.replay_ppm = 200'000,
               .spot_ppm = 500'000,
               .spot_blocks = 4,
               .probation_shares = 1,
               .vest_leases = 2,
               .lease_ms = 60'000,
               .answer_ms = 10'000};
  job.price_per_tmac = 1'000'000'000'000;
  job.fee_ppm = 20'000;
  return job;
}

}  // namespace gemmine::test
