#include "miner/cli/train_files.h"

#include <filesystem>

#include "kernels/base/output.h"
#include "kernels/base/printable.h"
#include "miner/curves.h"

namespace gemmine::miner {

namespace fs = std::filesystem;

bool keeps_a_file(const std::string& path) {
  if (path.empty() || path == "-") return false;
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  return !fs::exists(status) || fs::is_regular_file(status);
}

ModelFile::ModelFile(const std::string& path, const pool::LoadedJob& job)
    : path_(path), work_(job.work), each_round_(keeps_a_file(path)) {
  origin_ = {.job_name = work_.job().name, .job_id = work_.id()};
  if (!job.sheet.empty())
    origin_.sheet = verifier::decode_sheet(job.sheet, work_.program().spec().widths).value();
}

Status ModelFile::after_round(uint32_t round, std::span<const float> theta) {
  return each_round_ ? write(round, theta) : Status(Ok{});
}

Status ModelFile::at_end(uint32_t round, std::span<const float> theta) {
  return path_.empty() || round == kept_ ? Status(Ok{}) : write(round, theta);
}

Status ModelFile::write(uint32_t round, std::span<const float> theta) {
  origin_.round = round;
  Status written =
      write_output(path_, verifier::encode_safetensors(work_.program(), theta, origin_));
  if (written) kept_ = round;
  return written;
}

bool CheckpointFile::exists() const {
  std::error_code ignored;
  return !path_.empty() && fs::exists(path_, ignored);
}

bool CheckpointFile::wants(bool round_ended) const {
  constexpr auto kEvery = std::chrono::minutes(1);
  return !path_.empty() && (round_ended || std::chrono::steady_clock::now() - last_ >= kEvery);
}

Status CheckpointFile::write(const LocalCheckpoint& checkpoint) {
  if (path_.empty()) return Ok{};
  last_ = std::chrono::steady_clock::now();
  Status written = write_local_checkpoint(path_, checkpoint);
  written_ = written_ || written.ok();
  return written;
}

void CheckpointFile::remove() const {
  std::error_code ignored;
  if (!path_.empty()) fs::remove(path_, ignored);
}

Status CurveFiles::check(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!path.ends_with(".csv") && !path.ends_with(".svg"))
      return Error{Errc::invalid_argument,
                   printable(path) + ": curves are a table, name.csv, or a picture, name.svg"};
    if (Status usable = check_output_path(path); !usable) return usable;
  }
  return Ok{};
}

Status CurveFiles::write(const std::vector<RoundReport>& rounds) const {
  for (const std::string& path : paths_) {
    const std::string text =
        path.ends_with(".csv") ? curves_csv(rounds, gpt_) : curves_svg(rounds, gpt_, title_);
    const Status written = write_output(path, as_bytes(std::string_view(text)), Sync::no);
    if (!written) return written;
  }
  return Ok{};
}

}  // namespace gemmine::miner
