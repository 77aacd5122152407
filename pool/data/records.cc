#include "pool/data/records.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/nearest.h"
#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

using verifier::Scaling;
using verifier::Sheet;
using verifier::SheetName;

constexpr size_t kShownLabels = 8;

Error invalid(const std::string& where, const std::string& why) {
  return {Errc::invalid, where + ": " + why};
}

bool can_be_name(const std::string& text) {
  return text.size() <= verifier::kSheetNameBytesMax && printable(text) == text;
}

// A whole number, as "3" or "3.0".
std::optional<uint32_t> class_number(const std::string& text) {
  const auto value = decimal_of(text, false);
  if (!value || *value < 0 || *value > kernels::kWidthMax || *value != std::floor(*value))
    return {};
  return static_cast<uint32_t>(*value);
}

std::vector<SheetName> names_of(const std::vector<std::string>& texts) {
  std::vector<SheetName> out;
  out.reserve(texts.size());
  for (const std::string& text : texts)
    out.push_back({text});
  return out;
}

std::string some(const std::vector<std::string>& labels) {
  std::string out;
  for (size_t i = 0; i < std::min(labels.size(), kShownLabels); ++i)
    out.append(i == 0 ? "" : ", ").append(quoted(labels[i]));
  return labels.size() > kShownLabels ? out + " ..." : out;
}

// Labels in the order of their classes.
void sort_labels(std::vector<std::string>& labels) {
  const bool numbers = std::ranges::all_of(
      labels, [](const std::string& text) { return decimal_of(text, false).has_value(); });
  if (numbers) {
    std::ranges::sort(labels, {}, [](const std::string& text) {
      return std::pair(*decimal_of(text, false), text);
    });
  } else {
    std::ranges::sort(labels);
  }
}

// The names of classes; none where labels are their numbers.
Result<std::vector<SheetName>> fit_classes(const RowTable& train, const Preparation& how) {
  const uint32_t classes = how.shape.classes;
  std::vector<std::string> labels = how.classes;
  if (labels.empty()) {
    // A text may stay of rows that are held out.
    std::vector<bool> there(train.labels.texts().size(), false);
    for (const uint32_t label : train.labels.rows())
      there[label] = true;
    for (size_t i = 0; i < there.size(); ++i)
      if (there[i]) labels.push_back(train.labels.texts()[i]);
    const auto is_number = [&](const std::string& text) {
      const auto number = class_number(text);
      return number && *number < classes;
    };
    if (std::ranges::all_of(labels, is_number)) return std::vector<SheetName>{};
    sort_labels(labels);
  }
  if (labels.size() > classes)
    return invalid(train.file, std::to_string(labels.size()) + " different labels (" +
                                   some(labels) + "); model.widths ends with " +
                                   std::to_string(classes) +
                                   " classes (data.label_column says where labels are)");
  for (const std::string& label : labels)
    if (!can_be_name(label))
      return invalid(train.file, "label " + quoted(label) + " is no name: at most " +
                                     std::to_string(verifier::kSheetNameBytesMax) +
                                     " bytes of printable text are");
  return names_of(labels);
}

// What labels stand for: classes by name or, where no class has a number for a name, by number.
class ClassNames {
 public:
  ClassNames(const Sheet& sheet, uint32_t classes) : classes_(classes) {
    for (const SheetName& name : sheet.classes) {
      index_.emplace(name.text, static_cast<uint32_t>(names_.size()));
      names_.push_back(name.text);
      by_number_ = by_number_ && !decimal_of(name.text, false);
    }
  }

  std::optional<uint32_t> find(const std::string& label) const {
    const auto found = index_.find(label);
    if (found != index_.end()) return found->second;
    const auto number = class_number(label);
    return by_number_ && number && *number < classes_ ? number : std::nullopt;
  }
  // Why there is no such class.
  std::string missed(const std::string& label) const {
    if (names_.empty())
      return "label " + quoted(label) + "; the model has " + std::to_string(classes_) +
             " classes, 0 to " + std::to_string(classes_ - 1);
    const std::string meant = nearest(label, names_, 2);
    return "label " + quoted(label) + " is of no class of the training rows; " +
           (meant.empty() ? "they have " + some(names_) : "did you mean " + quoted(meant) + "?");
  }

 private:
  const uint32_t classes_;
  std::vector<std::string> names_;
  std::map<std::string, uint32_t, std::less<>> index_;
  bool by_number_ = true;
};

// The class of each text of a table's labels.
Result<std::vector<uint32_t>> classes_of(const Labels& labels, const Sheet& sheet,
                                         uint32_t classes) {
  const ClassNames names(sheet, classes);
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < labels.texts().size(); ++i) {
    const auto found = names.find(labels.texts()[i]);
    if (!found) return invalid(labels.place(i), names.missed(labels.texts()[i]));
    out.push_back(*found);
  }
  return out;
}

std::string column_name(const RowTable& table, size_t column) {
  return table.names.empty() ? "column " + std::to_string(column + 1)
                             : "column " + quoted(table.names[column]);
}

Result<std::vector<Scaling>> standardise_all(const RowTable& train) {
  std::vector<Scaling> out;
  std::vector<double> column(train.rows());
  for (size_t c = 0; c < train.columns; ++c) {
    for (size_t row = 0; row < column.size(); ++row)
      column[row] = train.values[row * train.columns + c];
    const auto scaling = verifier::standardise(column);
    if (!scaling) return invalid(train.file, column_name(train, c) + " " + scaling.error().detail);
    out.push_back(scaling.value());
  }
  return out;
}

Status fit_scaling(const RowTable& train, const Preparation& how, Prepared& out) {
  if (how.scaling == FeatureScaling::columns) {
    auto scalings = standardise_all(train);
    if (!scalings) return scalings.error();
    out.sheet.scalings = std::move(scalings.value());
    out.feature_scale = verifier::kStandardScale;
    out.feature_shift = verifier::kStandardShift;
  } else if (how.scaling == FeatureScaling::whole) {
    auto whole = verifier::scale_whole(train.values);
    if (!whole) return invalid(train.file, whole.error().detail);
    out.sheet.scalings = std::move(whole.value().scalings);
    out.feature_scale = whole.value().feature_scale;
    out.feature_shift = whole.value().feature_shift;
  }
  return Ok{};
}

// Names of features that a sheet may have; else none.
std::vector<SheetName> feature_names(const RowTable& table) {
  if (!std::ranges::all_of(table.names, can_be_name)) return {};
  return names_of(table.names);
}

}  // namespace

Result<Bytes> records_of(const RowTable& rows, const Sheet& sheet, const TableShape& shape) {
  GEMMINE_CHECK(rows.columns == shape.features && sheet.features == shape.features);
  const auto classes = classes_of(rows.labels, sheet, shape.classes);
  if (!classes) return classes.error();
  const std::vector<uint32_t>& labels = rows.labels.rows();
  Bytes out;
  out.reserve(rows.rows() * shape.record_bytes());
  for (size_t row = 0; row < rows.rows(); ++row) {
    for (uint32_t c = 0; c < rows.columns; ++c) {
      const double value = rows.values[row * rows.columns + c];
      const Scaling* const scaling = sheet.scaling_of(c);
      if (std::isnan(value) && !sheet.missing)
        return invalid(rows.file, "row " + std::to_string(row) + ", " + column_name(rows, c) +
                                      ": a value is missing, and the model was trained without "
                                      "such rows");
      if (scaling == nullptr && !is_byte(value))
        return invalid(rows.file, "row " + std::to_string(row) + ", " + column_name(rows, c) +
                                      ": the model reads whole numbers from 0 to 255");
      out.push_back(std::isnan(value)    ? verifier::kMissingByte
                    : scaling == nullptr ? static_cast<uint8_t>(value)
                                         : scaling->to_byte(value));
    }
    put_label(labels.empty() ? 0 : classes.value()[labels[row]], shape, out);
  }
  return out;
}

Result<Prepared> prepare_rows(const RowTable& train, const RowTable& test, const Preparation& how) {
  GEMMINE_CHECK(train.columns == how.shape.features && test.columns == how.shape.features);
  GEMMINE_CHECK(train.rows() > 0 && how.scaling != FeatureScaling::by_shape);
  Prepared out;
  out.sheet.features = how.shape.features;
  out.sheet.missing = how.missing;
  if (auto fitted = fit_scaling(train, how, out); !fitted) return fitted.error();
  out.sheet.names = feature_names(train);
  if (can_be_name(train.label_name)) out.sheet.label = {train.label_name};
  auto classes = fit_classes(train, how);
  if (!classes) return classes.error();
  out.sheet.classes = std::move(classes.value());
  auto records = records_of(train, out.sheet, how.shape);
  if (!records) return records.error();
  out.train = std::move(records.value());
  out.train_records = static_cast<uint32_t>(train.rows());
  records = records_of(test, out.sheet, how.shape);
  if (!records) return records.error();
  out.test = std::move(records.value());
  out.test_records = static_cast<uint32_t>(test.rows());
  return out;
}

Result<Prepared> prepare_bytes(Table train, Table test, const Preparation& how) {
  GEMMINE_CHECK(how.scaling == FeatureScaling::bytes || how.scaling == FeatureScaling::whole);
  Prepared out;
  out.sheet.features = how.shape.features;
  out.sheet.classes = names_of(how.classes);
  if (how.scaling == FeatureScaling::whole) {
    uint64_t sum = 0;
    uint64_t sum_of_squares = 0;
    for (uint64_t row = 0; row < train.count; ++row) {
      const uint8_t* const features = train.records.data() + row * how.shape.record_bytes();
      for (uint32_t c = 0; c < how.shape.features; ++c) {
        sum += features[c];
        sum_of_squares += uint64_t{features[c]} * features[c];
      }
    }
    const auto whole =
        verifier::scale_bytes(uint64_t{train.count} * how.shape.features, sum, sum_of_squares);
    out.feature_scale = whole.feature_scale;
    out.feature_shift = whole.feature_shift;
  }
  out.train = std::move(train.records);
  out.train_records = train.count;
  out.test = std::move(test.records);
  out.test_records = test.count;
  return out;
}

RowTable rows_of(const Table& table, const TableShape& shape, const std::string& file) {
  RowTable out{.file = file, .columns = shape.features};
  out.values.reserve(uint64_t{table.count} * shape.features);
  for (uint64_t row = 0; row < table.count; ++row) {
    const uint8_t* const record = table.records.data() + row * shape.record_bytes();
    out.values.insert(out.values.end(), record, record + shape.features);
    uint32_t label = record[shape.features];
    if (shape.label_bytes() == 2) label |= uint32_t{record[shape.features + 1]} << 8;
    out.labels.add(std::to_string(label), file + ": row " + std::to_string(row));
  }
  return out;
}

}  // namespace gemmine::pool
