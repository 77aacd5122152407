// `gemmine data`: what a job file makes of its data, as plain files.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "kernels/base/output.h"
#include "kernels/base/printable.h"
#include "kernels/cli/name.h"
#include "kernels/cli/output.h"
#include "miner/cli/commands.h"
#include "pool/data/loaded_job.h"
#include "verifier/records/sheet.h"

namespace gemmine::miner {

using cli::fail;

namespace {

constexpr size_t kShownMax = 20;  // features, and classes

// How many records of each class there are.
std::vector<uint64_t> count_classes(const kernels::Program& program, ByteView records) {
  std::vector<uint64_t> out(program.spec().widths.back(), 0);
  const size_t bytes = program.record_bytes();
  for (size_t at = 0; at < records.size(); at += bytes)
    ++out[program.label_of(records.subspan(at, bytes))];
  return out;
}

// Values of a standardised feature that lie more than four deviations off, and were clipped.
uint64_t count_clipped(const kernels::Program& program, ByteView records, size_t feature) {
  uint64_t out = 0;
  for (size_t at = 0; at < records.size(); at += program.record_bytes())
    out += records[at + feature] == 0 || records[at + feature] == UINT8_MAX ? 1 : 0;
  return out;
}

class SheetPrinter {
 public:
  SheetPrinter(const pool::LoadedJob& job, verifier::Sheet sheet)
      : job_(job), program_(job.work.program()), sheet_(std::move(sheet)) {}

  void print() const {
    const kernels::Spec& spec = program_.spec();
    std::printf("features    %u %s\n", sheet_.features, scaling_text());
    std::printf("            the model sees byte * %.9g + %.9g\n",
                static_cast<double>(spec.feature_scale), static_cast<double>(spec.feature_shift));
    for (size_t i = 0; i < std::min(sheet_.names.size(), kShownMax); ++i)
      print_feature(i);
    print_more(sheet_.names.size());
    print_classes();
  }

 private:
  const char* scaling_text() const {
    if (sheet_.scalings.empty()) return "bytes";
    return sheet_.scalings.size() == 1 && sheet_.features > 1
               ? "scaled as a whole"
               : "columns, each standardised by the training rows";
  }
  std::string class_name(size_t i) const {
    return i < sheet_.classes.size() ? sheet_.classes[i].text : std::to_string(i);
  }
  static void print_more(size_t count) {
    if (count > kShownMax) std::printf("            and %zu more\n", count - kShownMax);
  }
  void print_feature(size_t i) const {
    std::printf("  %-20s", printable(sheet_.names[i].text).c_str());
    if (sheet_.scalings.size() == sheet_.features) {
      const verifier::Scaling& scaling = sheet_.scalings[i];
      const double deviation = 32 / scaling.factor;
      std::printf("  mean %-12.6g deviation %-12.6g", scaling.offset + 4 * deviation, deviation);
      if (const uint64_t clipped = count_clipped(program_, job_.train_records, i); clipped > 0)
        std::printf("%llu clipped at 4 deviations", static_cast<unsigned long long>(clipped));
    }
    std::printf("\n");
  }
  void print_classes() const {
    const auto train = count_classes(program_, job_.train_records);
    const auto test = count_classes(program_, job_.test_records);
    std::printf("classes     %zu%s%s\n", train.size(), sheet_.label.text.empty() ? "" : " of ",
                printable(sheet_.label.text).c_str());
    for (size_t i = 0; i < std::min(train.size(), kShownMax); ++i)
      std::printf("  %-20s  %llu to train on, %llu to test%s\n", printable(class_name(i)).c_str(),
                  static_cast<unsigned long long>(train[i]),
                  static_cast<unsigned long long>(test[i]),
                  train[i] == 0 && test[i] > 0 ? ": no training row has it" : "");
    print_more(train.size());
  }

  const pool::LoadedJob& job_;
  const kernels::Program& program_;
  const verifier::Sheet sheet_;
};

Status write_parts(const std::string& out, const pool::LoadedJob& job) {
  const std::filesystem::path folder(out);
  std::error_code ignored;  // writing says why
  std::filesystem::create_directories(folder, ignored);
  const bool gpt = job.work.program().is_gpt();
  const std::pair<const char*, const Bytes*> parts[] = {
      {"train.bin", &job.train_records},
      {gpt ? "validation.bin" : "test.bin", &job.test_records},
      {"sheet.bin", &job.sheet}};
  for (const auto& [name, bytes] : parts) {
    if (bytes->empty()) continue;  // a gpt has no sheet
    const std::string path = folder / name;
    if (auto written = write_output(path, *bytes); !written) return written;
    std::printf("wrote       %s\n", path.c_str());
  }
  return Ok{};
}

}  // namespace

void add_data_options(CLI::App& command, DataOptions& options) {
  command.footer(
      "Tables: kind = \"csv\", \"jsonl\", \"npy\", \"npz\", \"idx\" or \"images\" under [data]; "
      "text: "
      "\"text\"\n"
      "or \"tokens\". Features of any size are standardised by the training rows, unless the job\n"
      "file gives feature_scale and feature_shift for bytes; names of classes are numbered in\n"
      "their order. Both are written into the job's sheet, and into the model.");
  cli::add_name(command, "job", options.job, "job file (TOML)")->required();
  cli::add_name(command, "--out", options.out,
                "folder for train.bin, validation.bin or test.bin, and sheet.bin");
}

ExitCode data(const DataOptions& options) {
  const auto loaded = pool::load_job(options.job);
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const pool::LoadedJob& job = loaded.value();
  const kernels::Spec& spec = job.work.program().spec();
  const bool gpt = job.work.program().is_gpt();
  const std::string unit = gpt ? std::to_string(spec.gpt.token_bytes) + "-byte tokens" : "records";
  std::printf("train       %u %s\n%s  %u %s\n", spec.records, unit.c_str(),
              gpt ? "validation" : "test      ", job.work.job().test_records, unit.c_str());
  if (!job.sheet.empty()) {
    auto sheet = verifier::decode_sheet(job.sheet, spec.widths);
    if (!sheet) return fail(ExitCode::bad_input, sheet.error().detail);
    const SheetPrinter printer(job, std::move(sheet.value()));
    printer.print();
  }
  if (options.out.empty()) return ExitCode::ok;
  const Status written = write_parts(options.out, job);
  return written ? ExitCode::ok : fail(ExitCode::failed, written.error().detail);
}

}  // namespace gemmine::miner
