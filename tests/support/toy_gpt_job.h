// A job around the toy language models.
#pragma once

#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt.h"
#include "tests/support/toy_job.h"
#include "verifier/records/job.h"

namespace gemmine::test {

inline verifier::Job toy_gpt_job(const kernels::Spec& spec) {
  const Bytes tokens = testing::toy_tokens(spec);
  verifier::Job job = toy_terms();
  job.name = spec.gpt.tied ? "toy-gpt-tied" : "toy-gpt";
  job.spec = spec;
  job.train_address = kernels::blake3(tokens);
  job.test_address = job.train_address;
  job.test_records = spec.records;
  return job;
}

}  // namespace gemmine::test
