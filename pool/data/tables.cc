// Tables of features and labels from .npy and CSV files.
#include <algorithm>

#include "kernels/model/program.h"
#include "pool/data/csv.h"
#include "pool/data/dataset.h"
#include "pool/data/npy.h"

namespace gemmine::pool {
namespace {

Error wrong(const std::string& file, const std::string& why) {
  return {Errc::invalid, file + ": " + why};
}

Result<NpyReader> open_npy(const std::string& path) {
  auto stream = ByteStream::open(path, kDatasetBytesMax);
  if (!stream) return stream.error();
  const auto magic = stream.value().read(kNpyMagic.size());
  if (!magic) return magic.error();
  if (!std::ranges::equal(magic.value(), as_bytes(kNpyMagic)))
    return Error{Errc::malformed, path + ": no .npy file; numpy.save makes one"};
  return NpyReader::open(std::move(stream.value()), kDatasetBytesMax);
}

}  // namespace

Result<Dataset> load_npy(const DataSource& source, uint32_t features, uint32_t classes) {
  auto images = open_npy(source.images);
  if (!images) return images.error();
  auto labels = open_npy(source.labels);
  if (!labels) return labels.error();
  const std::vector<uint64_t>& shape = images.value().shape();
  if (shape.size() < 2)
    return wrong(source.images,
                 "has one dimension: these look like labels; are the files swapped?");
  if (labels.value().shape().size() != 1)
    return wrong(source.labels, "has more than one dimension: these look like images");
  if (!images.value().is_bytes())
    return wrong(source.images, "images are uint8; scale them and save array.astype('u1')");
  const uint64_t count = shape[0];
  if (count != labels.value().count() || count > kernels::kRecordsMax)
    return wrong(source.labels, std::to_string(labels.value().count()) + " labels for " +
                                    std::to_string(count) + " images");
  const uint64_t values = images.value().count() / count;
  if (values != features)
    return wrong(source.images, "images of " + std::to_string(values) +
                                    " values; model.widths starts with " +
                                    std::to_string(features));
  Dataset out{.records = {},
              .count = static_cast<uint32_t>(count),
              .features = features,
              .label_bytes = label_bytes_of(classes)};
  out.records.resize(count * out.record_bytes());
  for (uint64_t at = 0; at < images.value().count();) {
    const auto run = images.value().next();
    if (!run) return run.error();
    for (const int64_t value : run.value()) {
      out.records[at / features * out.record_bytes() + at % features] = static_cast<uint8_t>(value);
      ++at;
    }
  }
  for (uint64_t at = 0; at < count;) {
    const auto run = labels.value().next();
    if (!run) return run.error();
    for (const int64_t label : run.value()) {
      if (label < 0 || label >= int64_t{classes})
        return wrong(source.labels, "label " + std::to_string(label) + " at " + std::to_string(at) +
                                        "; the model has " + std::to_string(classes) + " classes");
      for (uint32_t byte = 0; byte < out.label_bytes; ++byte)
        out.records[at * out.record_bytes() + features + byte] =
            static_cast<uint8_t>(label >> 8 * byte);
      ++at;
    }
  }
  for (NpyReader* reader : {&images.value(), &labels.value()})
    if (const auto end = reader->next(); !end) return end.error();  // trailing bytes
  return out;
}

Result<Dataset> load_csv(const std::string& path, bool label_first, uint32_t features,
                         uint32_t classes) {
  auto stream = ByteStream::open(path, kDatasetBytesMax);
  if (!stream) return stream.error();
  CsvReader csv(std::move(stream.value()));
  Dataset out{
      .records = {}, .count = 0, .features = features, .label_bytes = label_bytes_of(classes)};
  while (true) {
    const auto next = csv.next();
    if (!next) return next.error();
    const std::span<const uint8_t> row = next.value();
    if (row.empty()) break;
    const std::string place = path + ":" + std::to_string(csv.line());
    if (row.size() != size_t{features} + 1)
      return wrong(place, std::to_string(row.size()) + " columns; model.widths starts with " +
                              std::to_string(features) + ", and there is a label");
    const uint8_t label = label_first ? row.front() : row.back();
    if (label >= classes)
      return wrong(place, "label " + std::to_string(label) + "; the model has " +
                              std::to_string(classes) +
                              " classes (data.label_column says where labels are)");
    if (out.count == kernels::kRecordsMax) return wrong(place, "too many rows");
    const auto values = label_first ? row.subspan(1) : row.first(features);
    out.records.insert(out.records.end(), values.begin(), values.end());
    out.records.push_back(label);
    if (out.label_bytes == 2) out.records.push_back(0);
    ++out.count;
  }
  if (out.count == 0) return wrong(path, "no rows");
  return out;
}

}  // namespace gemmine::pool
