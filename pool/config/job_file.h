// A job file as a value (configs/jobs/): what is trained, on which data, and how it is paid.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "pool/config/toml.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

inline constexpr size_t kDataFilesMax = 1024;  // as written; a pattern may stand for more

// The first three are tables of features and labels for an MLP, the others tokens for a gpt.
enum class DataKind : uint8_t { idx, npy, csv, text, tokens, rdb };

// Where the records of a job come from. Held out is what the job calls test data.
struct DataFiles {
  DataKind kind = DataKind::idx;
  // idx, npy: images, labels. csv: one table. text, tokens: files or patterns. rdb: objects.
  std::vector<std::string> train;
  std::vector<std::string> held_out;  // empty: the end of every file of `train`
  float held_out_fraction = 0;        // of each
  std::string database;               // rdb: its files without .rdx and .rdb
  bool label_first = false;           // csv: else it is the last column
};

// Everything of PROTOCOL 6.1 or 10.12 but what follows from the data (addresses, counts).
struct JobFile {
  std::string path;
  verifier::Job job;  // train_address, test_address, spec.records and test_records still empty
  DataFiles data;
};
// Errors: invalid_argument with the place of the first mistake; also shapes that no Program has.
Result<JobFile> parse_job_file(Toml toml);
// The same of the file at `path`. Errors: those of Toml::load, too.
Result<JobFile> load_job_file(const std::string& path);

}  // namespace gemmine::pool
