// A job of a file with its data: what a pool serves, and what trains on this machine alone.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/config/job_file.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

struct LoadedJob {
  verifier::Work work;
  Bytes train_records;  // what its train_address names
  Bytes test_records;   // what its test_address names
  Bytes sheet = {};     // what its sheet_address names; empty where that is zero
};
// Reads the data that the file names. Errors: those of load_data; invalid (a bound of PROTOCOL 9
// that only shows with the data).
Result<LoadedJob> load_job(const JobFile& file);
// Of the job file at `path`. What it says and what it names are one thing to its author. Errors:
// those of load_job_file, too.
Result<LoadedJob> load_job(const std::string& path);

}  // namespace gemmine::pool
