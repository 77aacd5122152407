#include "pool/data/table.h"

#include <algorithm>

#include "kernels/base/printable.h"
#include "pool/data/idx.h"
#include "pool/data/memory.h"
#include "pool/data/npy.h"

namespace gemmine::pool {
namespace {

Error wrong(const std::string& file, const std::string& why) {
  return {Errc::invalid, file + ": " + why};
}

Result<IdxReader> open_idx(const std::string& path) {
  auto stream = ByteStream::open(path, kTableBytesMax);
  if (!stream) return stream.error();
  return IdxReader::open(std::move(stream.value()), kTableBytesMax);
}

Result<NpyReader> open_npy(const std::string& path) {
  auto stream = ByteStream::open(path, kTableBytesMax);
  if (!stream) return stream.error();
  const auto magic = stream.value().read(kNpyMagic.size());
  if (!magic) return magic.error();
  if (!std::ranges::equal(magic.value(), as_bytes(kNpyMagic)))
    return Error{Errc::malformed, stream.value().name() + ": no .npy file; numpy.save makes one"};
  return NpyReader::open(std::move(stream.value()), kTableBytesMax);
}

template <class Reader>
Status check_shapes(const Reader& images, const Reader& labels, const TableShape& shape) {
  if (images.shape().size() < 2)
    return wrong(images.name(),
                 "has one dimension: these look like labels; are the files swapped?");
  if (labels.shape().size() != 1)
    return wrong(labels.name(), "has more than one dimension: these look like images");
  const uint64_t count = images.shape()[0];
  if (count != labels.count())
    return wrong(labels.name(), std::to_string(labels.count()) + " labels for " +
                                    std::to_string(count) + " images");
  if (count > kernels::kRecordsMax)
    return wrong(images.name(), std::to_string(count) + " images, at most " +
                                    std::to_string(kernels::kRecordsMax) + " are allowed");
  const uint64_t values = images.count() / count;
  if (values == shape.features) return Ok{};
  return wrong(images.name(), "images of " + std::to_string(values) +
                                  " values; model.widths starts with " +
                                  std::to_string(shape.features));
}

template <class Reader>
Status read_images(Reader& images, const TableShape& shape, Bytes& records) {
  for (uint64_t done = 0;;) {
    const auto next = images.next();
    if (!next) return next.error();
    auto run = next.value();
    if (run.empty()) return Ok{};
    while (!run.empty()) {
      GEMMINE_CHECK(done < images.count());
      const uint64_t column = done % shape.features;
      const size_t count = std::min<uint64_t>(run.size(), shape.features - column);
      uint8_t* const record = records.data() + done / shape.features * shape.record_bytes();
      std::transform(run.begin(), run.begin() + static_cast<ptrdiff_t>(count), record + column,
                     [](auto value) { return static_cast<uint8_t>(value); });
      run = run.subspan(count);
      done += count;
    }
  }
}

template <class Reader>
Status read_labels(Reader& labels, const TableShape& shape, Bytes& records) {
  for (uint64_t row = 0;;) {
    const auto run = labels.next();
    if (!run) return run.error();
    if (run.value().empty()) return Ok{};
    for (const int64_t label : run.value()) {
      if (label < 0 || label >= int64_t{shape.classes})
        return wrong(labels.name(), "label " + std::to_string(label) + " at " +
                                        std::to_string(row) + "; the model has " +
                                        std::to_string(shape.classes) + " classes");
      GEMMINE_CHECK(row < labels.count());
      uint8_t* const out = records.data() + row * shape.record_bytes() + shape.features;
      for (uint32_t byte = 0; byte < shape.label_bytes(); ++byte)
        out[byte] = static_cast<uint8_t>(label >> 8 * byte);
      ++row;
    }
  }
}

template <class Reader>
Result<Table> join(Reader& images, Reader& labels, const TableShape& shape) {
  GEMMINE_CHECK(shape.features > 0 && shape.classes > 0);
  if (auto good = check_shapes(images, labels, shape); !good) return good.error();
  return within_memory(images.name(), [&]() -> Result<Table> {
    Table out;
    out.count = static_cast<uint32_t>(images.shape()[0]);
    out.records.resize(out.count * shape.record_bytes());
    if (auto read = read_images(images, shape, out.records); !read) return read.error();
    if (auto read = read_labels(labels, shape, out.records); !read) return read.error();
    return out;
  });
}

// Memory for a whole table, from its first row.
uint64_t expected_bytes(const CsvReader& csv, const TableShape& shape) {
  const uint64_t rows = csv.stream().size_hint() / (csv.row_bytes() + 1) + 1;
  return std::min<uint64_t>(rows + rows / 8, kernels::kRecordsMax) * shape.record_bytes();
}

Status append_row(const CsvReader& csv, std::span<const uint8_t> row, LabelColumn label_column,
                  const TableShape& shape, Table& out) {
  const std::string place = csv.stream().name() + ":" + std::to_string(csv.line());
  if (row.size() != size_t{shape.features} + 1)
    return wrong(place, std::to_string(row.size()) + " columns; model.widths starts with " +
                            std::to_string(shape.features) + ", and there is a label");
  const bool first = label_column == LabelColumn::first;
  const uint8_t label = first ? row.front() : row.back();
  if (label >= shape.classes)
    return wrong(place, "label " + std::to_string(label) + "; the model has " +
                            std::to_string(shape.classes) +
                            " classes (data.label_column says where labels are)");
  if (out.count == kernels::kRecordsMax) return wrong(place, "too many rows");
  if (out.count == 0) out.records.reserve(expected_bytes(csv, shape));
  const auto values = first ? row.subspan(1) : row.first(shape.features);
  out.records.insert(out.records.end(), values.begin(), values.end());
  out.records.push_back(label);
  if (shape.label_bytes() == 2) out.records.push_back(0);
  ++out.count;
  return Ok{};
}

}  // namespace

Result<Table> load_idx(const ImageFiles& files, const TableShape& shape) {
  auto images = open_idx(files.images);
  if (!images) return images.error();
  auto labels = open_idx(files.labels);
  if (!labels) return labels.error();
  return join(images.value(), labels.value(), shape);
}

Result<Table> load_npy(const ImageFiles& files, const TableShape& shape) {
  auto images = open_npy(files.images);
  if (!images) return images.error();
  auto labels = open_npy(files.labels);
  if (!labels) return labels.error();
  if (images.value().shape().size() > 1 && !images.value().is_bytes())
    return wrong(images.value().name(),
                 "images are uint8: scale them to 0 ... 255 and save array.astype('u1')");
  return join(images.value(), labels.value(), shape);
}

Result<Table> load_csv(const std::string& path, LabelColumn label, const TableShape& shape) {
  GEMMINE_CHECK(shape.features > 0 && shape.classes > 0);
  auto stream = ByteStream::open(path, kTableBytesMax);
  if (!stream) return stream.error();
  CsvReader csv(std::move(stream.value()), label);
  return within_memory(printable(path), [&]() -> Result<Table> {
    Table out;
    while (true) {
      const auto row = csv.next();
      if (!row) return row.error();
      if (row.value().empty()) break;
      if (auto added = append_row(csv, row.value(), label, shape, out); !added)
        return added.error();
    }
    if (out.count == 0) return wrong(printable(path), "no rows");
    return out;
  });
}

}  // namespace gemmine::pool
