#include "pool/data/dataset.h"

#include <algorithm>

#include "pool/data/memory.h"
#include "pool/data/table.h"
#include "pool/data/tokens.h"

namespace gemmine::pool {
namespace {

Result<Table> load_table(const DataFiles& data, const std::vector<std::string>& names,
                         const TableShape& shape) {
  GEMMINE_CHECK(names.size() == (data.kind == DataKind::csv ? 1 : 2));
  if (data.kind == DataKind::csv) return load_csv(data.path(names[0]), data.label, shape);
  const ImageFiles files{data.path(names[0]), data.path(names[1])};
  return data.kind == DataKind::npy ? load_npy(files, shape) : load_idx(files, shape);
}

// The last rows become test data.
Result<LoadedData> cut_table(Table table, const JobFile& file, const TableShape& shape) {
  LoadedData out;
  out.test_records = static_cast<uint32_t>(file.data.held_out_fraction.of(table.count));
  out.train_records = table.count - out.test_records;
  if (out.test_records == 0 || out.train_records == 0)
    return Error{Errc::invalid, file.path + ": data.test_fraction of " +
                                    std::to_string(table.count) + " rows is " +
                                    (out.test_records == 0 ? "none" : "all")};
  const auto cut =
      table.records.begin() + static_cast<ptrdiff_t>(out.train_records * shape.record_bytes());
  out.test.assign(cut, table.records.end());
  table.records.erase(cut, table.records.end());
  out.train = std::move(table.records);
  return out;
}

Result<LoadedData> load_tables(const JobFile& file) {
  const std::vector<uint32_t>& widths = file.job.spec.widths;
  GEMMINE_CHECK(widths.size() >= 2);
  const TableShape shape{.features = widths.front(), .classes = widths.back()};
  auto train = load_table(file.data, file.data.train, shape);
  if (!train) return train.error();
  if (file.data.held_out.empty()) return cut_table(std::move(train.value()), file, shape);
  auto test = load_table(file.data, file.data.held_out, shape);
  if (!test) return test.error();
  return LoadedData{.train = std::move(train.value().records),
                    .train_records = train.value().count,
                    .test = std::move(test.value().records),
                    .test_records = test.value().count};
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
