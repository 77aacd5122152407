// Tables in arrays of numbers: features in one, [rows, ...], and labels in another, [rows].
#pragma once

#include <string>

#include "pool/data/npy.h"
#include "pool/data/rows.h"
#include "pool/data/table.h"

namespace gemmine::pool {

struct NpyPair {
  Bytes held_images;  // what readers of members of an archive read
  Bytes held_labels;
  NpyReader images;
  NpyReader labels;
};
// Errors: those of ByteStream and NpyReader; malformed (no .npy file).
Result<NpyReader> open_npy(ByteStream stream);
Result<NpyPair> open_npy_pair(const ImageFiles& files);
// Members "IMAGES.npy" and "LABELS.npy" of an .npz archive. Errors: those of read_zip_member, too.
Result<NpyPair> open_npz_pair(const std::string& path, const std::string& images,
                              const std::string& labels);

// A member of a zip archive, unpacked. Errors: io, malformed (no archive, damaged), invalid (no
// such member, with the names of those that are there; more than kTableBytesMax bytes),
// out_of_memory.
Result<Bytes> read_zip_member(const std::string& path, const std::string& member);

// labels null: rows without labels. Errors: those of the readers; invalid (another number of
// features or labels, a value that is not finite or, with choice.bytes, no byte; a label that is no
// whole number), with the row.
Result<RowTable> read_npy_rows(NpyReader& features, NpyReader* labels, const ColumnChoice& choice);

}  // namespace gemmine::pool
