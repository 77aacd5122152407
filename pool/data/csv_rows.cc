// Tables in CSV files: which row is a header, which column is what.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/model/program.h"
#include "pool/data/csv.h"
#include "pool/data/memory.h"
#include "pool/data/rows.h"

namespace gemmine::pool {
namespace {

using Field = CsvReader::Field;

// Columns that a program named by counting them, from 0 or 1.
bool counts(const std::vector<Field>& row, size_t but) {
  constexpr size_t kFewest = 4;  // fewer may be a row of data
  std::optional<double> expected;
  for (size_t i = 0; i < row.size(); ++i) {
    if (i == but) continue;
    const auto value = decimal_of(row[i].text, false);
    if (!value || (expected ? *value != *expected : *value != 0 && *value != 1)) return false;
    expected = *value + 1;
  }
  return row.size() > kFewest;
}

// A class may have a name, so a label alone makes no header; see is_column_name().
bool is_header(const std::vector<Field>& first, const std::vector<Field>& second,
               const ColumnChoice& choice, bool decimal_comma) {
  if (choice.label == LabelColumn::named) return true;
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  const size_t label = choice.label == LabelColumn::none    ? kNone
                       : choice.label == LabelColumn::first ? 0
                                                            : first.size() - 1;
  bool odd = false;  // a feature that is no number
  for (size_t i = 0; i < first.size(); ++i) {
    if (i == label) continue;
    if (is_column_name(first[i].text)) return true;
    odd = odd || (!is_missing(first[i].text) && !decimal_of(first[i].text, decimal_comma));
  }
  if (label == kNone || !is_column_name(first[label].text)) return false;
  const bool numbered = !second.empty() && !is_column_name(second[label].text);
  return odd || numbered || first.size() == 1 || counts(first, label);
}

class CsvTable {
 public:
  CsvTable(CsvReader& csv, const ColumnChoice& choice) : csv_(csv), choice_(choice) {}

  Result<RowTable> read() {
    const auto first = copy();
    if (!first) return first.error();
    if (first.value().empty()) return Error{Errc::invalid, csv_.stream().name() + ": no rows"};
    const Place first_place{csv_.line()};
    const auto second = copy();
    if (!second) return second.error();
    out_.file = csv_.stream().name();
    const bool header = is_header(first.value(), second.value(), choice_, comma());
    if (header) {
      for (const Field& field : first.value())
        names_.push_back(field.text);
    }
    const auto chosen = choose_columns(choice_, names_, first.value().size());
    if (!chosen)
      return Error{Errc::invalid, csv_.stream().name() + ":" + std::to_string(first_place.line) +
                                      ": " + chosen.error().detail};
    take_names(chosen.value());
    if (!header)
      if (auto added = add(first.value(), chosen.value(), first_place); !added)
        return added.error();
    if (auto added = add_rest(second.value(), chosen.value()); !added) return added.error();
    if (out_.values.empty()) return Error{Errc::invalid, csv_.stream().name() + ": no rows"};
    return std::move(out_);
  }

 private:
  struct Place {
    uint64_t line;
  };

  bool comma() const { return csv_.separator() != ','; }

  Result<std::vector<Field>> copy() {
    const auto row = csv_.next();
    if (!row) return row.error();
    return std::vector<Field>(row.value().begin(), row.value().end());
  }

  void take_names(const ChosenColumns& chosen) {
    out_.columns = static_cast<uint32_t>(chosen.features.size());
    if (names_.empty()) return;
    for (const size_t i : chosen.features)
      out_.names.push_back(names_[i]);
    if (chosen.label) out_.label_name = names_[*chosen.label];
  }

  Status add_rest(const std::vector<Field>& second, const ChosenColumns& chosen) {
    if (second.empty()) return Ok{};
    // Memory once, from what a row takes.
    const uint64_t rows = csv_.stream().size_hint() / (csv_.row_bytes() + 1) + 2;
    out_.values.reserve(std::min<uint64_t>(rows + rows / 8, kernels::kRecordsMax) * out_.columns);
    if (auto added = add(second, chosen, {csv_.line()}); !added) return added;
    while (true) {
      const auto row = csv_.next();
      if (!row) return row.error();
      if (row.value().empty()) return Ok{};
      if (auto added = add(row.value(), chosen, {csv_.line()}); !added) return added;
    }
  }

  Error wrong(const Place& place, const Field& field, const std::string& why) const {
    return {Errc::malformed, csv_.stream().name() + ":" + std::to_string(place.line) + ":" +
                                 std::to_string(field.column_byte) + ": " + why};
  }

  Status add(std::span<const Field> row, const ChosenColumns& chosen, const Place& place) {
    if (out_.rows() == kernels::kRecordsMax)
      return Error{Errc::invalid, csv_.stream().name() + ": too many rows"};
    for (const size_t i : chosen.features) {
      const Field& field = row[i];
      auto value = decimal_of(field.text, comma());
      if (!value && choice_.missing && is_missing(field.text)) value = std::nan("");
      if (!value) return wrong(place, field, no_number(field.text));
      if (choice_.bytes && !is_byte(*value)) return wrong(place, field, no_byte(field.text));
      out_.values.push_back(*value);
    }
    if (!chosen.label) return Ok{};
    const Field& label = row[*chosen.label];
    if (is_missing(label.text))
      return wrong(place, label,
                   (label.text.empty() ? "a label" : quoted(label.text) + ": a label") +
                       " is missing; leave the row out (data.label_column says where labels are)");
    out_.labels.add(label.text, csv_.stream().name() + ":" + std::to_string(place.line) + ":" +
                                    std::to_string(label.column_byte));
    return Ok{};
  }

  CsvReader& csv_;
  const ColumnChoice& choice_;
  std::vector<std::string> names_;  // of all columns
  RowTable out_;
};

}  // namespace

Result<RowTable> read_csv_rows(ByteStream stream, const ColumnChoice& choice) {
  const std::string name = stream.name();
  CsvReader csv(std::move(stream));
  return within_memory(name, [&] { return CsvTable(csv, choice).read(); });
}

}  // namespace gemmine::pool
