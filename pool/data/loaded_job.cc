#include "pool/data/loaded_job.h"

#include "kernels/hash/blake3.h"
#include "kernels/model/program.h"
#include "pool/data/dataset.h"

namespace gemmine::pool {

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
