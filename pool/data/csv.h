// Tables of whole numbers from 0 to 255 in CSV files, read row by row.
#pragma once

#include <span>
#include <vector>

#include "pool/data/byte_stream.h"

namespace gemmine::pool {

inline constexpr size_t kCsvLineBytesMax = 256 << 10;

class CsvReader {
 public:
  explicit CsvReader(ByteStream stream) : stream_(std::move(stream)) {}

  // The next row, valid until the next call; empty at the end. Every row has as many columns as the
  // first line, which is a header when one of its fields opens with a letter, `_` or `"`.
  // Errors: those of the stream; malformed, with file:line:column.
  Result<std::span<const uint8_t>> next();

  uint64_t line() const { return line_; }  // of the last row, from 1
  const std::string& name() const { return stream_.name(); }

 private:
  Result<bool> next_line();  // into text_; false at the end
  Error wrong(size_t column, const std::string& why) const;
  bool is_header() const;

  ByteStream stream_;
  ByteView piece_;
  std::string text_;
  uint64_t line_ = 0;
  size_t columns_ = 0;
  std::vector<uint8_t> row_;
};

}  // namespace gemmine::pool
