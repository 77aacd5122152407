#include "pool/data/model_rows.h"

#include <filesystem>

#include "kernels/base/printable.h"
#include "pool/data/arrays.h"
#include "pool/data/idx.h"
#include "pool/data/images.h"
#include "pool/data/memory.h"
#include "pool/data/records.h"

namespace gemmine::pool {
namespace {

using verifier::Sheet;
using verifier::SheetName;

constexpr std::string_view kAdvice =
    "--label-column says which column is the label, and the others need names (a first line) where "
    "some are neither";

std::vector<std::string> texts_of(const std::vector<SheetName>& names) {
  std::vector<std::string> out;
  for (const SheetName& name : names)
    out.push_back(name.text);
  return out;
}

ColumnChoice choice_of(const RowSource& source, const Sheet& sheet, bool labelled) {
  ColumnChoice out{.label = LabelColumn::named, .features = sheet.features};
  out.label_name = source.label_column;
  if (source.label_column == "first") {
    out.label = LabelColumn::first;
  } else if (source.label_column == "last") {
    out.label = LabelColumn::last;
  } else if (source.label_column == "none" || (source.label_column.empty() && !labelled)) {
    out.label = LabelColumn::none;
  } else if (source.label_column.empty()) {
    out.label = sheet.label.text.empty() ? LabelColumn::last : LabelColumn::named;
    out.label_name = sheet.label.text;
  }
  out.wanted = texts_of(sheet.names);
  out.missing = sheet.missing;
  out.bytes = sheet.scalings.empty();
  out.advice = kAdvice;
  return out;
}

Result<RowTable> read_text(const RowSource& source, DataKind kind, const ColumnChoice& choice) {
  auto stream = ByteStream::open(source.path, kTableBytesMax);
  if (!stream) return stream.error();
  return (kind == DataKind::csv ? read_csv_rows : read_jsonl_rows)(std::move(stream.value()),
                                                                   choice);
}

Error no_labels(const RowSource& source) {
  return {Errc::invalid_argument, printable(source.path) +
                                      ": has features alone; --labels names the file of labels, or "
                                      "their array in an .npz file"};
}

Result<RowTable> read_npy(const RowSource& source, const ColumnChoice& choice, bool labelled) {
  const auto open = [](const std::string& path) -> Result<NpyReader> {
    auto stream = ByteStream::open(path, kTableBytesMax);
    if (!stream) return stream.error();
    return open_npy(std::move(stream.value()));
  };
  auto features = open(source.path);
  if (!features) return features.error();
  if (!labelled) return read_npy_rows(features.value(), nullptr, choice);
  if (source.labels.empty()) return no_labels(source);
  auto labels = open(source.labels);
  if (!labels) return labels.error();
  return read_npy_rows(features.value(), &labels.value(), choice);
}

Result<RowTable> read_npz(const RowSource& source, const ColumnChoice& choice, bool labelled) {
  const std::string features = source.features.empty() ? "x_test" : source.features;
  const std::string labels = source.labels.empty() ? "y_test" : source.labels;
  // Without labels the features stand in for them, and are not read twice.
  auto pair = open_npz_pair(source.path, features, labelled ? labels : features);
  if (!pair) return pair.error();
  return read_npy_rows(pair.value().images, labelled ? &pair.value().labels : nullptr, choice);
}

// All bytes of an array.
Result<Bytes> read_idx(const std::string& path, std::vector<uint64_t>& shape) {
  auto stream = ByteStream::open(path, kTableBytesMax);
  if (!stream) return stream.error();
  auto idx = IdxReader::open(std::move(stream.value()), kTableBytesMax);
  if (!idx) return idx.error();
  shape = idx.value().shape();
  Bytes out;
  while (true) {
    const auto run = idx.value().next();
    if (!run) return run.error();
    if (run.value().empty()) return out;
    out.insert(out.end(), run.value().begin(), run.value().end());
  }
}

Result<RowTable> read_idx_rows(const RowSource& source, const ColumnChoice& choice, bool labelled) {
  if (labelled && source.labels.empty()) return no_labels(source);
  std::vector<uint64_t> shape;
  const auto features = read_idx(source.path, shape);
  if (!features) return features.error();
  RowTable out{.file = printable(source.path), .columns = choice.features};
  if (shape.size() < 2 || features.value().size() / shape[0] != choice.features)
    return Error{Errc::invalid, out.file + ": its rows do not have the model's " +
                                    std::to_string(choice.features) + " features"};
  out.values.assign(features.value().begin(), features.value().end());
  if (!labelled) return out;
  const auto labels = read_idx(source.labels, shape);
  if (!labels) return labels.error();
  if (labels.value().size() != out.rows())
    return Error{Errc::invalid, printable(source.labels) + ": " +
                                    std::to_string(labels.value().size()) + " labels for " +
                                    std::to_string(out.rows()) + " rows"};
  for (const uint8_t label : labels.value())
    out.labels.add(std::to_string(label),
                   printable(source.labels) + ": row " + std::to_string(out.labels.rows().size()));
  return out;
}

Result<ModelRows> read_images(const RowSource& source, const Sheet& sheet, const TableShape& shape,
                              bool labelled) {
  ModelRows out;
  if (!labelled) {
    auto table = load_unlabelled_images(source.path, shape, out.names);
    if (!table) return table.error();
    out.records = std::move(table.value().records);
    out.count = table.value().count;
    return out;
  }
  auto images = load_images(source.path, shape, texts_of(sheet.classes));
  if (!images) return images.error();
  out.records = std::move(images.value().table.records);
  out.count = images.value().table.count;
  return out;
}

Result<RowTable> read_rows(const RowSource& source, DataKind kind, const ColumnChoice& choice,
                           bool labelled) {
  return within_memory(printable(source.path), [&]() -> Result<RowTable> {
    switch (kind) {
      case DataKind::csv:
      case DataKind::jsonl:
        return read_text(source, kind, choice);
      case DataKind::npy:
        return read_npy(source, choice, labelled);
      case DataKind::npz:
        return read_npz(source, choice, labelled);
      case DataKind::idx:
        return read_idx_rows(source, choice, labelled);
      default:
        return Error{Errc::invalid_argument,
                     printable(source.path) + ": is text, and this model reads rows"};
    }
  });
}

}  // namespace

std::optional<DataKind> kind_of_file(const std::string& path, bool gpt) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return DataKind::images;
  std::string name = path;
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  constexpr std::pair<std::string_view, DataKind> kEndings[] = {
      {".csv", DataKind::csv},     {".tsv", DataKind::csv},      {".data", DataKind::csv},
      {".jsonl", DataKind::jsonl}, {".ndjson", DataKind::jsonl}, {".npz", DataKind::npz},
      {"ubyte", DataKind::idx},    {".idx", DataKind::idx},      {".png", DataKind::images}};
  if (gpt)
    return name.ends_with(".npy") || name.ends_with(".bin") ? DataKind::tokens : DataKind::text;
  if (name.ends_with(".npy")) return DataKind::npy;
  if (name.ends_with(".txt")) return DataKind::csv;
  for (const auto& [ending, kind] : kEndings)
    if (name.ends_with(ending)) return kind;
  return {};
}

Result<ModelRows> read_model_rows(const RowSource& source, const Sheet& sheet,
                                  const TableShape& shape, bool labelled) {
  const auto kind = source.kind ? source.kind : kind_of_file(source.path, false);
  if (!kind)
    return Error{Errc::invalid_argument,
                 printable(source.path) + ": its name does not say what it is; --kind csv does"};
  if (*kind == DataKind::images) return read_images(source, sheet, shape, labelled);
  auto rows = read_rows(source, *kind, choice_of(source, sheet, labelled), labelled);
  if (!rows) return rows.error();
  if (!labelled) rows.value().labels = {};
  auto records = records_of(rows.value(), sheet, shape);
  if (!records) return records.error();
  return ModelRows{std::move(records.value()), rows.value().rows(), {}};
}

}  // namespace gemmine::pool
