// CSV tables from anywhere: refused with the file's name, or rows of one width.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/csv.h"

namespace gp = gemmine::pool;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gp::CsvReader csv(gp::ByteStream::over({data, size}, "fuzz.csv", 1 << 20));
  size_t columns = 0;
  size_t values = 0;
  while (true) {
    const auto row = csv.next();
    if (!row) {
      GEMMINE_CHECK(row.error().detail.starts_with("fuzz.csv"));
      return 0;
    }
    if (row.value().empty()) return 0;
    GEMMINE_CHECK(columns == 0 || row.value().size() == columns);
    columns = row.value().size();
    values += columns;
    // A field takes what ends it; a gzip bomb stops at the bound.
    GEMMINE_CHECK(values <= 1 << 20);
  }
}
