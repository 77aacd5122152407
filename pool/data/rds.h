// R's serialization, as much of it as data sets in R packages need: lists, texts, whole numbers.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

inline constexpr uint32_t kRdsDepthMax = 16;

// One vector: of the members at most one is not empty, besides the names of its elements.
struct RdsValue {
  std::vector<RdsValue> items;
  std::vector<int32_t> integers;   // logicals too, as 0 and 1
  std::vector<std::string> texts;  // NA is an empty one
  std::vector<std::string> names;

  // The item of that name, or null.
  const RdsValue* find(const std::string& name) const;
};

// The unpacked bytes of an .rds file: XDR, versions 2 and 3. `name` opens each message.
// Errors: malformed (cut, trailing bytes, depth); unsupported (another format or type).
Result<RdsValue> parse_rds(ByteView bytes, const std::string& name);

// A database of lazily loaded objects: DATABASE.rdx, the index, and DATABASE.rdb.
class RdsDatabase {
 public:
  // Errors: io; those of parse_rds.
  static Result<RdsDatabase> open(const std::string& database);
  // The texts of an object, a text vector, as lines that each end in a newline.
  // Errors: io; malformed; invalid (no such object; more than bytes_max); unsupported.
  Result<Bytes> lines(const std::string& object, uint64_t bytes_max) const;

 private:
  std::string path_;  // of the .rdb
  RdsValue variables_;
};

}  // namespace gemmine::pool
