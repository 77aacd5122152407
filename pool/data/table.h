// Tables of features and labels as the records of PROTOCOL 3.2, from IDX, .npy and CSV files.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "pool/data/csv.h"

namespace gemmine::pool {

inline constexpr uint64_t kTableBytesMax = uint64_t{8} << 30;  // of a file, unpacked

// What a model wants of its table.
struct TableShape {
  uint32_t features = 1;
  uint32_t classes = 1;  // labels are below

  uint32_t label_bytes() const { return classes > kernels::kByteLabelsMax ? 2 : 1; }
  uint64_t record_bytes() const { return uint64_t{features} + label_bytes(); }
};
struct Table {
  Bytes records;  // count × record_bytes(): features, then the label (PROTOCOL 3.2)
  uint32_t count = 0;
};
// Images in one file, [count, ...], and labels in another, [count].
struct ImageFiles {
  std::string images;
  std::string labels;
};

// Headers are read before any data, so the wrong file is refused at once, and memory is taken once.
// Errors, each with the file's name: those of the readers; invalid when images and labels are
// swapped, differ in number, do not have `features` values each, or a label is not below `classes`;
// out_of_memory.
Result<Table> load_idx(const ImageFiles& files, const TableShape& shape);
// The images are uint8, the labels whole numbers of any size.
Result<Table> load_npy(const ImageFiles& files, const TableShape& shape);
// A row is an image and its label, which ends at 255.
Result<Table> load_csv(const std::string& path, LabelColumn label, const TableShape& shape);

}  // namespace gemmine::pool
