// Rows of real numbers and their labels as files have them, before they become records.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"
#include "pool/config/job_file.h"
#include "pool/data/byte_stream.h"

namespace gemmine::pool {

// The labels of a table, each text once.
class Labels {
 public:
  // `place` ("file:line:column") is kept for the first of its kind.
  void add(const std::string& text, const std::string& place);

  const std::vector<uint32_t>& rows() const { return rows_; }       // into texts()
  const std::vector<std::string>& texts() const { return texts_; }  // as they were met first
  const std::string& place(uint32_t text) const { return places_[text]; }
  // The rows for which keep(row) holds; texts stay.
  template <class Keep>
  Labels part(const Keep& keep) const {
    Labels out = *this;
    out.rows_.clear();
    for (size_t row = 0; row < rows_.size(); ++row)
      if (keep(row)) out.rows_.push_back(rows_[row]);
    return out;
  }

 private:
  std::vector<uint32_t> rows_;
  std::vector<std::string> texts_;
  std::vector<std::string> places_;
  std::map<std::string, uint32_t, std::less<>> index_;
};

struct RowTable {
  std::string file;  // printable
  uint32_t columns = 0;
  std::vector<double> values = {};      // rows × columns; NaN: not there
  Labels labels = {};                   // no rows: without labels
  std::vector<std::string> names = {};  // of the columns; none where the file has none
  std::string label_name = {};

  size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
};

// Which columns of a file are what.
struct ColumnChoice {
  LabelColumn label = LabelColumn::last;
  std::string label_name = {};         // LabelColumn::named
  std::vector<std::string> skip = {};  // names
  std::vector<std::string> wanted =
      {};                    // names of the features in their order; none: all that are left
  uint32_t features = 1;     // as many there must be
  bool missing = false;      // values may be
  std::string_view advice =  // what to say where there are too many or too few
      "data.label_column and data.skip_columns say what is no feature";
  bool bytes = false;  // features are whole numbers from 0 to 255
};
struct ChosenColumns {
  std::optional<size_t> label;
  std::vector<size_t> features;
};
// Among `count` columns with these names, or without any. Errors: invalid, without a place: a name
// that is not there, another number of features.
Result<ChosenColumns> choose_columns(const ColumnChoice& choice,
                                     const std::vector<std::string>& names, size_t count);

// Whether a field says that its value is not there: nothing, "?", NA, NaN, null, none.
bool is_missing(std::string_view text);
// A decimal number, to the nearest double; with decimal_comma a comma may stand for the point.
// Nothing for anything else, and for what no finite double is near to.
std::optional<double> decimal_of(std::string_view text, bool decimal_comma);
// At most 20 characters of it in quotes, printable.
std::string quoted(std::string_view text);
// What to do about a feature that is no number, or no byte.
std::string no_number(std::string_view text);
std::string no_byte(std::string_view text);
bool is_byte(double value);

// Errors: those of the reader and of choose_columns; malformed (a value that is no number, or not
// there), with file:line:column and a way out; invalid (no rows, or more than records may be).
Result<RowTable> read_csv_rows(ByteStream stream, const ColumnChoice& choice);
// An object a line, {"height": 1.5, "kind": "cat"}, whose members of numbers are features; or
// {"features": [1.5, 2], "label": "cat"}. Names are the first line's. Errors: as above.
Result<RowTable> read_jsonl_rows(ByteStream stream, const ColumnChoice& choice);

}  // namespace gemmine::pool
