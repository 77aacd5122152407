// A user's rows for a model that is there: read as its sheet says, whatever file they are in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pool/config/job_file.h"
#include "pool/data/table.h"
#include "verifier/records/sheet.h"

namespace gemmine::pool {

struct RowSource {
  std::string path;
  std::optional<DataKind> kind;  // none: as the file's name ends
  std::string label_column;  // csv, jsonl: "first", "last", "none" or a name; empty: the sheet's
  std::string labels;        // npy, idx: the file of labels; npz: their array
  std::string features;      // npz: the array
};
struct ModelRows {
  Bytes records;
  uint64_t count = 0;
  std::vector<std::string> names;  // of images, their files; else none
};

// The kind that a name stands for: table.csv, rows.jsonl.gz, a.npy, t10k-images-idx3-ubyte, a
// folder of images, text.txt (`gpt`: text, else csv). None where it says nothing.
std::optional<DataKind> kind_of_file(const std::string& path, bool gpt);

// Columns are found by the names in the sheet where the file has names. Without `labelled` labels
// are not looked at, and every record has class 0. Errors: those of the readers and of records_of.
Result<ModelRows> read_model_rows(const RowSource& source, const verifier::Sheet& sheet,
                                  const TableShape& shape, bool labelled);

}  // namespace gemmine::pool
