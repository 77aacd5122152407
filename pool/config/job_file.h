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

// Which column of a table is the label; `none` where a model is asked for it.
enum class LabelColumn : uint8_t { first, last, named, none };

// The last two are tokens for a gpt, the others tables of features and labels for an MLP.
enum class DataKind : uint8_t { idx, npy, npz, csv, jsonl, images, text, tokens };

// How features become bytes (PROTOCOL 6.7): they are bytes, each is standardised, or all are scaled
// as a whole. `by_shape`: whole where rows have more than one side, as images do, else columns.
enum class FeatureScaling : uint8_t { bytes, columns, whole, by_shape };

// Which rows a fraction holds out: those at even distances, or the last.
enum class HeldOutRows : uint8_t { spread, end };

// Where the records of a job come from. Held out is what the job calls test data.
struct DataFiles {
  DataKind kind = DataKind::idx;
  std::string folder;  // data.directory, beside the job file
  // Names as they are written. idx, npy: images, labels; npz: the same, of arrays in `archive`.
  // csv, jsonl: one table. images: a folder. text, tokens: files or patterns.
  std::vector<std::string> train;
  std::vector<std::string> held_out;  // empty: a part of every file of `train`
  Fraction held_out_fraction;         // of each; a part of the job's identity, so exact
  std::string archive;                // npz
  // Of tables.
  HeldOutRows held_out_rows = HeldOutRows::spread;
  FeatureScaling scaling = FeatureScaling::bytes;
  bool missing = false;              // a value that is not there counts as its feature's mean
  std::vector<std::string> classes;  // names, of class 0, 1, …; none: as the training rows have
  LabelColumn label = LabelColumn::last;  // csv, jsonl, from here on
  std::string label_name;                 // LabelColumn::named
  std::vector<std::string> skip;          // names of columns

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
