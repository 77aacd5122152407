// Rows of texts in CSV files, read one by one.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pool/data/lines.h"

namespace gemmine::pool {

inline constexpr size_t kCsvLineBytesMax = 256 << 10;

// Takes what spreadsheets and scripts write, as far as no row of data is lost without a word: a
// byte order mark, line ends of every system, quotes around fields, blanks around them, empty
// columns at the end of lines, empty lines, lines of nothing but separators at the end of the file,
// and a first line `sep=;`. Columns are separated by commas, or by semicolons or tabs where the
// first line has as many of them outside quotes.
class CsvReader {
 public:
  struct Field {
    std::string text;    // without quotes, and blanks around it
    size_t column_byte;  // of its first character, from 1
  };

  explicit CsvReader(ByteStream stream) : lines_(std::move(stream), kCsvLineBytesMax) {}

  // The next row, the header included, valid until the next call; empty at the end. Every row has
  // as many fields as the first. Errors: those of the stream; malformed, with file:line:column (in
  // bytes, from 1).
  Result<std::span<const Field>> next();

  char separator() const { return separator_; }      // known with the first row
  uint64_t line() const { return line_; }            // of the last row, from 1
  size_t row_bytes() const { return text_.size(); }  // of the last row's text
  const ByteStream& stream() const { return lines_.stream(); }
  // "file:line:column: why" of the last row's field; without a column where it is 0.
  Error wrong(size_t column_byte, const std::string& why) const;

 private:
  Result<bool> next_text();  // the lines of a row, into text_; false at the end
  Result<bool> next_line();  // one that is not empty, and its further lines
  Status split();            // text_ into fields_
  Status quoted_field(size_t& at, Field& out) const;
  Status fit_columns();

  LineReader lines_;
  std::string text_;
  uint64_t line_ = 0;
  uint64_t bare_line_ = 0;  // the first of nothing but separators just passed; 0: none
  char separator_ = 0;      // 0: not known yet
  std::vector<Field> fields_;
  size_t columns_ = 0;  // 0: not known yet
};

// Whether a field of a first line makes it a header: it opens with a letter, `_` or a character
// outside ASCII, and is no word for a missing number (NaN, NA, null, inf ...).
bool is_column_name(std::string_view field);

}  // namespace gemmine::pool
