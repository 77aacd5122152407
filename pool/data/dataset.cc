#include "pool/data/dataset.h"

#include <algorithm>

#include "kernels/base/fields.h"
#include "kernels/base/printable.h"
#include "pool/data/arrays.h"
#include "pool/data/images.h"
#include "pool/data/memory.h"
#include "pool/data/records.h"
#include "pool/data/tokens.h"

namespace gemmine::pool {
namespace {

// A table before it is prepared: bytes with numbers as labels, or rows of anything.
struct AnyTable {
  std::optional<Table> bytes;
  RowTable rows;

  uint64_t count() const { return bytes ? bytes->count : rows.rows(); }
};

// Reads the tables of a job file.
class TableLoader {
 public:
  explicit TableLoader(const JobFile& file) : data_(file.data), path_(file.path) {
    const std::vector<uint32_t>& widths = file.job.spec.widths;
    GEMMINE_CHECK(widths.size() >= 2);
    how_ = {.shape = {.features = widths.front(), .classes = widths.back()},
            .scaling =
                data_.scaling == FeatureScaling::by_shape ? FeatureScaling::columns : data_.scaling,
            .missing = data_.missing,
            .classes = data_.classes};
  }

  Result<Prepared> load() {
    if (how_.classes.size() > how_.shape.classes)
      return Error{Errc::invalid,
                   path_ + ": data.classes has " + std::to_string(how_.classes.size()) +
                       " names; model.widths ends with " + std::to_string(how_.shape.classes)};
    auto train = read(data_.train);
    if (!train) return train.error();
    auto test = data_.held_out.empty() ? cut(train.value()) : read(data_.held_out);
    if (!test) return test.error();
    if (train.value().bytes && test.value().bytes)
      return prepare_bytes(std::move(*train.value().bytes), std::move(*test.value().bytes), how_);
    for (AnyTable* const table : {&train.value(), &test.value()})
      if (table->bytes) table->rows = rows_of(*table->bytes, how_.shape, path_);
    return prepare_rows(train.value().rows, test.value().rows, how_);
  }

 private:
  ColumnChoice columns() const {
    ColumnChoice out{.label = data_.label, .features = how_.shape.features};
    out.label_name = data_.label_name;
    out.skip = data_.skip;
    out.missing = how_.missing;
    out.bytes = how_.scaling == FeatureScaling::bytes;
    return out;
  }

  Result<AnyTable> read(const std::vector<std::string>& names) {
    const std::string path = data_.path(names.front());
    switch (data_.kind) {
      case DataKind::csv:
      case DataKind::jsonl:
        return read_table(path);
      case DataKind::images:
        return read_images(path);
      case DataKind::idx:
        return of_bytes(load_idx({path, data_.path(names[1])}, how_.shape));
      case DataKind::npz:
        return read_pair(open_npz_pair(data_.path(data_.archive), names[0], names[1]));
      default:
        return read_pair(open_npy_pair({path, data_.path(names[1])}));
    }
  }

  Result<AnyTable> read_table(const std::string& path) {
    auto stream = ByteStream::open(path, kTableBytesMax);
    if (!stream) return stream.error();
    const auto read = data_.kind == DataKind::csv ? read_csv_rows : read_jsonl_rows;
    return of_rows(read(std::move(stream.value()), columns()));
  }

  static Result<AnyTable> of_rows(Result<RowTable> rows) {
    if (!rows) return rows.error();
    return AnyTable{{}, std::move(rows.value())};
  }
  static Result<AnyTable> of_bytes(Result<Table> table) {
    if (!table) return table.error();
    return AnyTable{std::move(table.value()), {}};
  }

  // The folders of training images are the classes of all.
  Result<AnyTable> read_images(const std::string& path) {
    auto images = load_images(path, how_.shape, how_.classes);
    if (!images) return images.error();
    how_.classes = std::move(images.value().classes);
    return AnyTable{std::move(images.value().table), {}};
  }

  Result<AnyTable> read_pair(Result<NpyPair> pair) {
    if (!pair) return pair.error();
    NpyReader& images = pair.value().images;
    NpyReader& labels = pair.value().labels;
    if (auto good = check_arrays(images, labels, how_.shape); !good) return good.error();
    if (data_.scaling == FeatureScaling::by_shape && images.shape().size() > 2)
      how_.scaling = FeatureScaling::whole;
    const bool as_bytes = images.is_bytes() && !images.is_fortran() && !labels.is_real() &&
                          how_.scaling != FeatureScaling::columns;
    if (as_bytes) return of_bytes(load_npy(images, labels, how_.shape));
    return of_rows(read_npy_rows(images, &labels, columns()));
  }

  // Takes the held-out rows out of the training rows.
  Result<AnyTable> cut(AnyTable& train) const {
    const HeldOut held_out(data_.held_out_fraction, data_.held_out_rows, train.count());
    if (held_out.count() == 0 || held_out.count() == train.count())
      return Error{Errc::invalid, path_ + ": data.test_fraction of " +
                                      std::to_string(train.count()) + " rows is " +
                                      (held_out.count() == 0 ? "none" : "all")};
    AnyTable out;
    if (train.bytes) {
      out.bytes = Table{};
      out.bytes->records = split(train.bytes->records, how_.shape.record_bytes(), held_out);
      out.bytes->count = static_cast<uint32_t>(held_out.count());
      train.bytes->count -= out.bytes->count;
      return out;
    }
    RowTable& rows = train.rows;
    const auto is_held_out = [&](uint64_t row) { return held_out.has(row); };
    out.rows = {.file = rows.file, .columns = rows.columns};
    out.rows.labels = rows.labels.part(is_held_out);
    out.rows.values = split(rows.values, rows.columns, held_out);
    rows.labels = rows.labels.part([&](uint64_t row) { return !is_held_out(row); });
    return out;
  }

  // The held-out rows of `width` items each; the others move together.
  template <class T>
  static std::vector<T> split(std::vector<T>& rows, uint64_t width, const HeldOut& held_out) {
    std::vector<T> out;
    out.reserve(held_out.count() * width);
    auto end = rows.begin();
    for (uint64_t row = 0; row < rows.size() / width; ++row) {
      const auto begin = rows.begin() + static_cast<ptrdiff_t>(row * width);
      const auto after = begin + static_cast<ptrdiff_t>(width);
      if (held_out.has(row)) {
        out.insert(out.end(), begin, after);
      } else {
        end = std::copy(begin, after, end);
      }
    }
    rows.erase(end, rows.end());
    return out;
  }

  const DataFiles& data_;
  const std::string& path_;
  Preparation how_;
};

Result<LoadedData> load_tables(const JobFile& file) {
  auto prepared = TableLoader(file).load();
  if (!prepared) return prepared.error();
  Prepared& table = prepared.value();
  LoadedData out{.train = std::move(table.train),
                 .train_records = table.train_records,
                 .test = std::move(table.test),
                 .test_records = table.test_records,
                 .sheet = encode(table.sheet),
                 .feature_scale = file.job.spec.feature_scale,
                 .feature_shift = file.job.spec.feature_shift};
  if (file.data.scaling != FeatureScaling::bytes) {
    out.feature_scale = table.feature_scale;
    out.feature_shift = table.feature_shift;
  }
  return out;
}

Result<LoadedData> load_corpus(const JobFile& file) {
  const kernels::GptShape& gpt = file.job.spec.gpt;
  auto tokens = load_tokens(file.data, gpt);
  if (!tokens) return tokens.error();
  LoadedData out;
  out.train = std::move(tokens.value().train);
  out.test = std::move(tokens.value().held_out);
  out.train_records = static_cast<uint32_t>(out.train.size() / gpt.token_bytes);
  out.test_records = static_cast<uint32_t>(out.test.size() / gpt.token_bytes);
  return out;
}

}  // namespace

Result<LoadedData> load_data(const JobFile& file) {
  return within_memory("the data of " + file.path, [&] {
    return file.job.spec.architecture == kernels::Architecture::gpt ? load_corpus(file)
                                                                    : load_tables(file);
  });
}

}  // namespace gemmine::pool
