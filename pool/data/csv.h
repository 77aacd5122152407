// Tables of whole numbers from 0 to 255 in CSV files, read row by row.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pool/config/job_file.h"
#include "pool/data/lines.h"

namespace gemmine::pool {

inline constexpr size_t kCsvLineBytesMax = 256 << 10;

// Takes what spreadsheets and scripts write, as far as no row of data is lost without a word: a
// byte order mark, line ends of every system, quotes around fields, blanks around numbers, empty
// columns at the end of lines, lines of nothing but separators at the end of the file, and a first
// line `sep=,`. The first line is a header when one of its fields is a name: it opens with a
// letter, `_` or one outside ASCII, and is no word for a missing number (NaN, NA, null, inf ...).
// Columns that something else than a comma separates are refused, with what does.
class CsvReader {
 public:
  CsvReader(ByteStream stream, LabelColumn label)
      : lines_(std::move(stream), kCsvLineBytesMax), label_(label) {}

  // The next row, valid until the next call; empty at the end. Every row has as many columns as the
  // first line. Errors: those of the stream; malformed, with file:line:column (in bytes, from 1).
  Result<std::span<const uint8_t>> next();

  uint64_t line() const { return line_; }            // of the last row, from 1
  size_t row_bytes() const { return text_.size(); }  // of the last row's text
  const ByteStream& stream() const { return lines_.stream(); }

 private:
  struct Field {
    std::string text;    // without quotes, and blanks around it
    size_t column_byte;  // of its first character, from 1
  };

  Result<bool> next_text();  // the lines of a row, into text_; false at the end
  Status split();            // text_ into fields_
  Status quoted_field(size_t& at, Field& out) const;
  Status fit_columns();
  Error wrong(uint64_t line, size_t column, const std::string& why) const;
  Error wrong_number(size_t index) const;
  Error other_separator(char separator) const;
  // The same as `error`, or what explains it: another separator than the comma.
  Error or_separator(Error error) const;

  LineReader lines_;
  LabelColumn label_;
  std::string text_;
  uint64_t line_ = 0;
  uint64_t blank_line_ = 0;  // the first of those just passed; 0: none
  std::vector<Field> fields_;
  size_t columns_ = 0;  // 0: not known yet
  std::vector<uint8_t> row_;
};

}  // namespace gemmine::pool
