// Tables of CSV or JSON lines from anywhere: refused with the file's name, or whole rows.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/data/rows.h"

namespace gp = gemmine::pool;

// The first byte says how to read the others.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = data[0];
  gp::ColumnChoice choice{.features = 1U + (how >> 1 & 3U), .missing = (how & 8) != 0};
  choice.label = static_cast<gp::LabelColumn>(how >> 4 & 3);
  choice.label_name = "k";
  choice.bytes = (how & 64) != 0;
  const auto read = (how & 1) != 0 ? gp::read_jsonl_rows : gp::read_csv_rows;
  const auto table = read(gp::ByteStream::over({data + 1, size - 1}, "fuzz", 1 << 20), choice);
  if (!table) {
    GEMMINE_CHECK(table.error().detail.starts_with("fuzz"));
    return 0;
  }
  const gp::RowTable& rows = table.value();
  GEMMINE_CHECK(rows.columns == choice.features && rows.rows() > 0);
  GEMMINE_CHECK(rows.values.size() == rows.rows() * rows.columns);
  GEMMINE_CHECK(rows.labels.rows().size() ==
                (choice.label == gp::LabelColumn::none ? 0 : rows.rows()));
  for (const double value : rows.values)
    GEMMINE_CHECK(std::isfinite(value) || (choice.missing && std::isnan(value)));
  return 0;
}
