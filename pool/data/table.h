// Tables of bytes and labels as the records of PROTOCOL 3.2, from IDX and .npy files.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/model/program.h"
#include "pool/data/npy.h"

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
// Of images that are bytes and lie row by row, and labels that are whole numbers.
Result<Table> load_npy(NpyReader& images, NpyReader& labels, const TableShape& shape);
// Whether features and labels fit each other and the shape. Errors: invalid, as above.
Status check_arrays(const NpyReader& images, const NpyReader& labels, const TableShape& shape);

// Appends a record's label.
void put_label(uint32_t label, const TableShape& shape, Bytes& records);

}  // namespace gemmine::pool
