// Images in folders, one for each class: FOLDER/cat/1.png, FOLDER/dog/2.png.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/data/table.h"

namespace gemmine::pool {

inline constexpr uint32_t kImageSideMax = 4096;
inline constexpr size_t kImageFileBytesMax = 64 << 20;

struct ImageTable {
  Table table;
  std::vector<std::string> classes;  // names of the folders, in the order of their bytes
};
// Every PNG file of every folder, in the order of their bytes; names that begin with a point are
// passed over. Images have 8 bits a channel, `features` values each: grey, or red, green and blue
// of each pixel, row by row. `classes`: the folders there may be; none: whatever there is. Formats
// whose pixels hang on the decoder (JPEG) are refused. Errors, with the file: io; malformed;
// unsupported; invalid (another size, too many folders or images); out_of_memory.
Result<ImageTable> load_images(const std::string& folder, const TableShape& shape,
                               const std::vector<std::string>& classes);

// The same of files without classes: a PNG file, or those of a folder. `names` gets their names.
Result<Table> load_unlabelled_images(const std::string& path, const TableShape& shape,
                                     std::vector<std::string>& names);

struct Pixels {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 0;  // 1 or 3
  Bytes bytes;            // height × width × channels
};
// A PNG file's. Palettes become colours; 16 bits, gaps (alpha) and other files are refused, since
// there is more than one way to drop them. `name` opens each message. Errors: malformed,
// unsupported.
Result<Pixels> decode_png(ByteView file, const std::string& name);

}  // namespace gemmine::pool
