#include "pool/data/loaded_job.h"

#include <utility>

#include "kernels/hash/blake3.h"
#include "pool/data/dataset.h"

namespace gemmine::pool {

Result<LoadedJob> load_job(const JobFile& file) {
  auto data = load_data(file);
  if (!data) return data.error();
  verifier::Job job = file.job;
  job.spec.records = data.value().train_records;
  job.test_records = data.value().test_records;
  job.train_address = kernels::blake3(data.value().train);
  job.test_address = kernels::blake3(data.value().test);
  job.spec.feature_scale = data.value().feature_scale;
  job.spec.feature_shift = data.value().feature_shift;
  if (!data.value().sheet.empty()) job.sheet_address = kernels::blake3(data.value().sheet);
  auto work = verifier::Work::make(job);
  if (!work) return Error{work.error().code, file.path + ": " + work.error().detail};
  return LoadedJob{std::move(work.value()), std::move(data.value().train),
                   std::move(data.value().test), std::move(data.value().sheet)};
}

Result<LoadedJob> load_job(const std::string& path) {
  const auto file = load_job_file(path);
  if (!file) return file.error();
  return load_job(file.value());
}

}  // namespace gemmine::pool
