#include "pool/data/dataset.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "kernels/model/program.h"
#include "pool/data/byte_stream.h"
#include "pool/data/tokens.h"

namespace gemmine::pool {
namespace {

constexpr uint8_t kUnsignedBytes = 0x08;

uint32_t big_endian(ByteView four) {
  return uint32_t{four[0]} << 24 | uint32_t{four[1]} << 16 | uint32_t{four[2]} << 8 | four[3];
}

Result<Bytes> read_idx_file(const std::string& path, Bytes& storage, Idx& idx) {
  auto bytes = read_maybe_gzip(path, kDatasetBytesMax);
  if (!bytes) return bytes.error();
  storage = std::move(bytes.value());
  auto parsed = parse_idx(storage, path, kDatasetBytesMax);
  if (!parsed) return parsed.error();
  idx = std::move(parsed.value());
  return Bytes{};
}

}  // namespace

Result<Idx> parse_idx(ByteView bytes, const std::string& name, uint64_t bytes_max) {
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0)
    return Error{Errc::malformed, name + ": no IDX file (it starts with 00 00)"};
  if (bytes[2] != kUnsignedBytes)
    return Error{Errc::malformed, name + ": elements of IDX type " + std::to_string(bytes[2]) +
                                      ", not unsigned bytes (8)"};
  const size_t dimensions = bytes[3];
  if (dimensions < 1 || dimensions > 4)
    return Error{Errc::malformed, name + ": " + std::to_string(dimensions) + " dimensions"};
  const size_t header = 4 + 4 * dimensions;
  if (bytes.size() < header) return Error{Errc::malformed, name + ": the header is cut short"};
  Idx out;
  uint64_t product = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    const uint32_t size = big_endian(bytes.subspan(4 + 4 * i, 4));
    // Checked one by one, so that the product of four u32 never wraps.
    if (size == 0 || product > bytes_max / size)
      return Error{Errc::invalid, name + ": its dimensions give 0 or more than " +
                                      std::to_string(bytes_max) + " bytes"};
    product *= size;
    out.dimensions.push_back(size);
  }
  out.data = bytes.subspan(header);
  if (out.data.size() != product)
    return Error{Errc::malformed, name + ": its header says " + std::to_string(product) +
                                      " bytes, the file has " + std::to_string(out.data.size())};
  return out;
}

Result<Dataset> load_dataset(const DataSource& source, uint32_t features, uint32_t classes) {
  Bytes image_bytes;
  Bytes label_bytes;
  Idx images;
  Idx labels;
  if (auto read = read_idx_file(source.images, image_bytes, images); !read) return read.error();
  if (auto read = read_idx_file(source.labels, label_bytes, labels); !read) return read.error();
  const auto wrong = [](const std::string& file, const std::string& why) {
    return Error{Errc::invalid, file + ": " + why};
  };
  if (images.dimensions.size() < 2)
    return wrong(source.images,
                 "has one dimension: these look like labels; are the files swapped?");
  if (labels.dimensions.size() != 1)
    return wrong(source.labels, "has more than one dimension: these look like images");
  const uint32_t count = images.dimensions[0];
  if (count != labels.dimensions[0] || count > kernels::kRecordsMax)
    return wrong(source.labels, std::to_string(labels.dimensions[0]) + " labels for " +
                                    std::to_string(count) + " images");
  const uint64_t values = images.data.size() / count;
  if (values != features)
    return wrong(source.images, "images of " + std::to_string(values) +
                                    " values; model.widths starts with " +
                                    std::to_string(features));
  Dataset out{
      .records = {}, .count = count, .features = features, .label_bytes = label_bytes_of(classes)};
  out.records.resize(count * out.record_bytes());  // an idx file's labels are bytes, the rest is 0
  for (uint64_t i = 0; i < count; ++i) {
    const uint8_t label = labels.data[i];
    if (label >= classes)
      return wrong(source.labels, "label " + std::to_string(label) + " at " + std::to_string(i) +
                                      "; the model has " + std::to_string(classes) + " classes");
    uint8_t* const record = out.records.data() + i * out.record_bytes();
    std::copy_n(images.data.data() + i * features, features, record);
    record[features] = label;
  }
  return out;
}

static Result<Dataset> load_table(const DataFiles& data, const std::vector<std::string>& files,
                                  const kernels::Spec& spec) {
  const uint32_t features = spec.widths.front();
  const uint32_t classes = spec.widths.back();
  if (data.kind == DataKind::csv) return load_csv(files[0], data.label_first, features, classes);
  const DataSource source{files[0], files[1]};
  if (data.kind == DataKind::npy) return load_npy(source, features, classes);
  return load_dataset(source, features, classes);
}

// The last rows become test data.
static Result<LoadedData> cut_table(Dataset& table, const JobFile& file) {
  LoadedData out;
  out.test_records = static_cast<uint32_t>(static_cast<double>(table.count) *
                                           static_cast<double>(file.data.held_out_fraction));
  out.train_records = table.count - out.test_records;
  if (out.test_records == 0)
    return Error{Errc::invalid, file.data.train[0] + ": data.test_fraction of " +
                                    std::to_string(table.count) + " rows is none"};
  const auto cut =
      table.records.begin() + static_cast<ptrdiff_t>(out.train_records * table.record_bytes());
  out.test.assign(cut, table.records.end());
  table.records.erase(cut, table.records.end());
  out.train = std::move(table.records);
  return out;
}

Result<LoadedData> load_data(const JobFile& file) {
  LoadedData out;
  const kernels::Spec& spec = file.job.spec;
  if (spec.architecture == kernels::Architecture::gpt) {
    auto tokens = load_tokens(file.data, spec.gpt);
    if (!tokens) return tokens.error();
    out.train = std::move(tokens.value().train);
    out.test = std::move(tokens.value().held_out);
    out.train_records = static_cast<uint32_t>(out.train.size() / spec.gpt.token_bytes);
    out.test_records = static_cast<uint32_t>(out.test.size() / spec.gpt.token_bytes);
    return out;
  }
  auto train = load_table(file.data, file.data.train, spec);
  if (!train) return train.error();
  if (file.data.held_out.empty()) return cut_table(train.value(), file);
  auto test = load_table(file.data, file.data.held_out, spec);
  if (!test) return test.error();
  out.train = std::move(train.value().records);
  out.train_records = train.value().count;
  out.test = std::move(test.value().records);
  out.test_records = test.value().count;
  return out;
}

Result<LoadedJob> load_job(const JobFile& file) {
  LoadedJob out;
  out.job = file.job;
  auto data = load_data(file);
  if (!data) return data.error();
  out.job.spec.records = data.value().train_records;
  out.job.test_records = data.value().test_records;
  out.train_records = std::move(data.value().train);
  out.test_records = std::move(data.value().test);
  out.job.train_address = kernels::blake3(out.train_records);
  out.job.test_address = kernels::blake3(out.test_records);
  const auto program = kernels::Program::make(out.job.spec);
  if (!program) return Error{program.error().code, file.path + ": " + program.error().detail};
  out.bytes = verifier::encode_job(out.job);
  // What we publish must be what others accept.
  if (const auto again = verifier::decode_job(out.bytes); !again)
    return Error{again.error().code, file.path + ": " + again.error().detail};
  out.id = verifier::job_id(out.bytes);
  return out;
}

Result<LoadedJob> load_job(const std::string& path) {
  const auto file = load_job_file(path);
  if (!file) return file.error();
  return load_job(file.value());
}

}  // namespace gemmine::pool
