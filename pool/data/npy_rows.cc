// Tables in two arrays of numbers.
#include <algorithm>
#include <cmath>

#include "kernels/base/json.h"
#include "kernels/base/printable.h"
#include "pool/data/arrays.h"
#include "pool/data/memory.h"

namespace gemmine::pool {
namespace {

Result<std::vector<double>> all_of(NpyReader& array) {
  std::vector<double> out;
  out.reserve(array.count());
  while (true) {
    const auto run = array.next_reals();
    if (!run) return run.error();
    if (run.value().empty()) return out;
    out.insert(out.end(), run.value().begin(), run.value().end());
  }
}

// With the last side running fastest, from the first.
std::vector<double> in_rows(const std::vector<double>& columns,
                            const std::vector<uint64_t>& shape) {
  std::vector<double> out;
  out.reserve(columns.size());
  std::vector<uint64_t> at(shape.size(), 0);
  while (out.size() < columns.size()) {
    uint64_t place = 0;
    for (size_t side = shape.size(); side-- > 0;)
      place = place * shape[side] + at[side];
    out.push_back(columns[place]);
    for (size_t side = shape.size(); side-- > 0;) {
      if (++at[side] < shape[side]) break;
      at[side] = 0;
    }
  }
  return out;
}

Status check_values(const RowTable& table, const ColumnChoice& choice) {
  for (size_t i = 0; i < table.values.size(); ++i) {
    const double value = table.values[i];
    if (std::isnan(value) && choice.missing) continue;
    if (std::isfinite(value) && (!choice.bytes || is_byte(value))) continue;
    const std::string text = Json(value).dump();
    return Error{Errc::invalid,
                 table.file + ": row " + std::to_string(i / table.columns) + ", value " +
                     std::to_string(i % table.columns) + ": " +
                     (std::isfinite(value) ? no_byte(text)
                      : std::isnan(value)  ? no_number("NaN")
                                           : std::string("is infinite; leave the row out"))};
  }
  return Ok{};
}

Status add_labels(NpyReader& array, Labels& out) {
  while (true) {
    const auto run = array.next_reals();
    if (!run) return run.error();
    if (run.value().empty()) return Ok{};
    for (const double label : run.value()) {
      const std::string place = array.name() + ": row " + std::to_string(out.rows().size());
      constexpr double kExact = 0x1p53;
      if (!(std::abs(label) < kExact) || label != std::floor(label))
        return Error{Errc::invalid, place + ": label " + Json(label).dump() +
                                        " is no whole number; save labels.astype('<i8')"};
      out.add(std::to_string(static_cast<int64_t>(label)), place);
    }
  }
}

}  // namespace

Result<RowTable> read_npy_rows(NpyReader& features, NpyReader* labels, const ColumnChoice& choice) {
  return within_memory(features.name(), [&]() -> Result<RowTable> {
    RowTable out{.file = features.name(), .columns = choice.features};
    if (features.count() / features.shape()[0] != choice.features)
      return Error{Errc::invalid, features.name() + ": rows of " +
                                      std::to_string(features.count() / features.shape()[0]) +
                                      " values; the model has " + std::to_string(choice.features) +
                                      " features"};
    auto values = all_of(features);
    if (!values) return values.error();
    out.values = features.is_fortran() ? in_rows(values.value(), features.shape())
                                       : std::move(values.value());
    if (auto good = check_values(out, choice); !good) return good.error();
    if (labels == nullptr) return out;
    if (auto added = add_labels(*labels, out.labels); !added) return added.error();
    if (out.labels.rows().size() != out.rows())
      return Error{Errc::invalid, labels->name() + ": " + std::to_string(out.labels.rows().size()) +
                                      " labels for " + std::to_string(out.rows()) + " rows"};
    return out;
  });
}

Result<NpyReader> open_npy(ByteStream stream) {
  const auto magic = stream.read(kNpyMagic.size());
  if (!magic) return magic.error();
  if (!std::ranges::equal(magic.value(), as_bytes(kNpyMagic)))
    return Error{Errc::malformed, stream.name() + ": no .npy file; numpy.save makes one"};
  return NpyReader::open(std::move(stream), kTableBytesMax);
}

Result<NpyPair> open_npy_pair(const ImageFiles& files) {
  const auto open = [](const std::string& path) -> Result<NpyReader> {
    auto stream = ByteStream::open(path, kTableBytesMax);
    if (!stream) return stream.error();
    return open_npy(std::move(stream.value()));
  };
  auto images = open(files.images);
  if (!images) return images.error();
  auto labels = open(files.labels);
  if (!labels) return labels.error();
  return NpyPair{{}, {}, std::move(images.value()), std::move(labels.value())};
}

Result<NpyPair> open_npz_pair(const std::string& path, const std::string& images,
                              const std::string& labels) {
  auto first = read_zip_member(path, images + ".npy");
  if (!first) return first.error();
  auto second = read_zip_member(path, labels + ".npy");
  if (!second) return second.error();
  const auto open = [&](const Bytes& bytes, const std::string& name) {
    return open_npy(
        ByteStream::over(bytes, printable(path) + ": " + printable(name), kTableBytesMax));
  };
  auto features = open(first.value(), images);
  if (!features) return features.error();
  auto numbers = open(second.value(), labels);
  if (!numbers) return numbers.error();
  return NpyPair{std::move(first.value()), std::move(second.value()), std::move(features.value()),
                 std::move(numbers.value())};
}

}  // namespace gemmine::pool
