// A job file as a value (configs/jobs/): what is trained, on which data, and how it is paid.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "pool/config/fraction.h"
#include "pool/config/toml.h"
#include "verifier/records/job.h"

namespace gemmine::pool {

inline constexpr size_t kDataFilesMax = 1024;  // as written; a pattern may stand for more

enum class LabelColumn : uint8_t { first, last };  // of a table

// The first three are tables of features and labels for an MLP, the others tokens for a gpt.
enum class DataKind : uint8_t { idx, npy, csv, text, tokens };

// Where the records of a job come from. Held out is what the job calls test data.
struct DataFiles {
  DataKind kind = DataKind::idx;
  std::string folder;  // data.directory, beside the job file
  // Names as they are written. idx, npy: images, labels. csv: one table. text, tokens: files or
  // patterns.
  std::vector<std::string> train;
  std::vector<std::string> held_out;      // empty: the end of every file of `train`
  Fraction held_out_fraction;             // of each; a part of the job's identity, so exact
  LabelColumn label = LabelColumn::last;  // csv

  // Where a name is: in `folder`, unless it is absolute.
  std::string path(const std::string& name) const { return seen_from(folder, name); }
};

// Everything of PROTOCOL 6.1 or 10.12 but what follows from the data (addresses, counts).
struct JobFile {
  std::string path;
  verifier::Job job;  // train_address, test_address, spec.records and test_records still empty
  DataFiles data;
};
// Errors: invalid_argument with the places of the mistakes; also shapes that no Program has.
Result<JobFile> parse_job_file(Toml toml);
// The same of the file at `path`. Errors: those of Toml::load, too.
Result<JobFile> load_job_file(const std::string& path);

}  // namespace gemmine::pool
