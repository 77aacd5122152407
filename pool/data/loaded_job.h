// A job file with its data: the job's canonical bytes, and what is behind its addresses.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

struct LoadedJob {
  verifier::Job job;
  Bytes bytes;
  Digest id;
  Bytes train_records;
  Bytes test_records;
};
// Errors: those of load_data and Program::make.
Result<LoadedJob> load_job(const JobFile& file);
// Of the job file at `path`. What it says and what it names are one thing to its author. Errors:
// those of load_job_file, too.
Result<LoadedJob> load_job(const std::string& path);

}  // namespace gemmine::pool
