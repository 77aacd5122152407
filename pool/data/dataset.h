// What a job trains on and is evaluated on, read from the files that its job file names.
#pragma once

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

// Records of PROTOCOL 3.2; of a gpt, tokens of 10.2.
struct LoadedData {
  Bytes train;
  uint32_t train_records = 0;
  Bytes test;
  uint32_t test_records = 0;
};
// Where test data are a part of the training data, they are its end: of every file (a table is one)
// the last ⌊fraction × records⌋, by exact arithmetic on the decimal that the job file gives.
// Errors: those of load_idx, load_npy, load_csv and load_tokens; invalid (a fraction that leaves
// nothing on one side).
Result<LoadedData> load_data(const JobFile& file);

}  // namespace gemmine::pool
