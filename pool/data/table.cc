#include "pool/data/table.h"

#include <algorithm>

#include "pool/data/idx.h"
#include "pool/data/memory.h"

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

}  // namespace

void put_label(uint32_t label, const TableShape& shape, Bytes& records) {
  GEMMINE_CHECK(label < shape.classes);
  records.push_back(static_cast<uint8_t>(label));
  if (shape.label_bytes() == 2) records.push_back(static_cast<uint8_t>(label >> 8));
}

Result<Table> load_idx(const ImageFiles& files, const TableShape& shape) {
  auto images = open_idx(files.images);
  if (!images) return images.error();
  auto labels = open_idx(files.labels);
  if (!labels) return labels.error();
  return join(images.value(), labels.value(), shape);
}

Status check_arrays(const NpyReader& images, const NpyReader& labels, const TableShape& shape) {
  return check_shapes(images, labels, shape);
}

Result<Table> load_npy(NpyReader& images, NpyReader& labels, const TableShape& shape) {
  GEMMINE_CHECK(images.is_bytes() && !images.is_fortran() && !labels.is_real());
  return join(images, labels, shape);
}

}  // namespace gemmine::pool
