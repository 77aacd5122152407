// Data sets as the records of PROTOCOL 3.2 or 10.2: read from files, named by their content.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

inline constexpr uint64_t kDatasetBytesMax = uint64_t{8} << 30;

// Magic 00 00 08 dd, dd big-endian u32 dimensions, then the product of them bytes.
struct Idx {
  std::vector<uint32_t> dimensions;  // 1 … 4, none of them 0
  ByteView data;                     // into the bytes it was read from
};
// `name` opens each message. Errors: malformed (magic, element type, cut or trailing bytes),
// invalid (a product over bytes_max; nothing is allocated for it).
Result<Idx> parse_idx(ByteView bytes, const std::string& name, uint64_t bytes_max);

struct DataSource {
  std::string images;
  std::string labels;
};
struct Dataset {
  Bytes records;  // count × record_bytes(): features, then the label (PROTOCOL 3.2)
  uint32_t count = 0;
  uint32_t features = 0;
  uint32_t label_bytes = 1;  // label_bytes_of() the model's classes

  uint64_t record_bytes() const { return uint64_t{features} + label_bytes; }
};
inline uint32_t label_bytes_of(uint32_t classes) {
  return classes > kernels::kByteLabelsMax ? 2 : 1;
}
// Errors: those of the parts; invalid when images and labels are swapped, differ in number, do not
// have `features` values each, or a label is not below `classes`.
Result<Dataset> load_dataset(const DataSource& source, uint32_t features, uint32_t classes);

// The same from two .npy files (images uint8), or a CSV file with the label in the first or last
// column.
Result<Dataset> load_npy(const DataSource& source, uint32_t features, uint32_t classes);
Result<Dataset> load_csv(const std::string& path, bool label_first, uint32_t features,
                         uint32_t classes);

// What a job trains on and is evaluated on. Of a gpt a record is a token.
struct LoadedData {
  Bytes train;
  uint32_t train_records = 0;
  Bytes test;
  uint32_t test_records = 0;
};
// Errors: those of load_dataset and load_tokens.
Result<LoadedData> load_data(const JobFile& file);

// A job whose data was read: the job's canonical bytes and what is behind its addresses.
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
