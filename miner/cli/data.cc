// `gemmine data`: what a job file makes of its data, as plain files.
#include <cstdio>
#include <filesystem>

#include "kernels/base/output.h"
#include "kernels/cli/output.h"
#include "miner/cli/commands.h"
#include "pool/data/dataset.h"

namespace gemmine::miner {

using cli::fail;

ExitCode data(const DataOptions& options) {
  const auto file = pool::load_job_file(options.job);
  if (!file) return fail(ExitCode::bad_input, file.error().detail);
  const auto loaded = pool::load_data(file.value());
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const pool::LoadedData& data = loaded.value();
  const kernels::Spec& spec = file.value().job.spec;
  const bool gpt = spec.architecture == kernels::Architecture::gpt;
  const std::string unit = gpt ? std::to_string(spec.gpt.token_bytes) + "-byte tokens" : "records";
  std::printf("train       %u %s\n%s  %u %s\n", data.train_records, unit.c_str(),
              gpt ? "validation" : "test      ", data.test_records, unit.c_str());
  if (options.out.empty()) return ExitCode::ok;
  const std::filesystem::path folder(options.out);
  std::error_code ignored;  // writing says why
  std::filesystem::create_directories(folder, ignored);
  for (const auto& [name, bytes] : {std::pair{"train.bin", &data.train},
                                    std::pair{gpt ? "validation.bin" : "test.bin", &data.test}}) {
    const std::string path = folder / name;
    if (auto written = write_output(path, *bytes); !written)
      return fail(ExitCode::failed, written.error().detail);
    std::printf("wrote       %s\n", path.c_str());
  }
  return ExitCode::ok;
}

}  // namespace gemmine::miner
