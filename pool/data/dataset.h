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
  Bytes sheet = {};         // of a table (PROTOCOL 6.7); empty for tokens
  float feature_scale = 0;  // of a table: the job file's, or what scales its training rows
  float feature_shift = 0;
};
// Where test data are a part of the training data, they are ⌊fraction × records⌋ of every file (a
// table is one), by exact arithmetic on the decimal that the job file gives: of tokens the last, of
// a table those at even distances, unless the job file says "end".
// Errors: those of the readers, of prepare_rows and of load_tokens; invalid (a fraction that leaves
// nothing on one side).
Result<LoadedData> load_data(const JobFile& file);

}  // namespace gemmine::pool
