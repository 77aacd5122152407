#include "verifier/cli/report.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

#include "kernels/base/files.h"
#include "kernels/base/json.h"
#include "kernels/base/printable.h"
#include "kernels/base/progress_bar.h"
#include "kernels/cli/output.h"

namespace gemmine::verifier {

namespace {

// There is one terminal, so there is one bar.
ProgressBar& bar() {
  static ProgressBar only;
  return only;
}

ExitCode exit_code(Outcome outcome) {
  switch (outcome) {
    case Outcome::valid:
      return ExitCode::ok;
    case Outcome::invalid:
      return ExitCode::invalid;
    case Outcome::malformed:
      return ExitCode::malformed;
    case Outcome::undecided:
      return ExitCode::undecided;
  }
  return ExitCode::undecided;
}

}  // namespace

void Report::finding(Outcome outcome, const std::string& check, const std::string& detail) {
  seen_[static_cast<size_t>(outcome)] = true;
  if (json_) {
    findings_.push_back({outcome, check, detail});
    return;
  }
  bar().clear();
  const std::string text = check + (detail.empty() ? "" : ": ") + detail;
  std::printf("%-9s %s\n", std::string(to_string(outcome)).c_str(), printable(text).c_str());
}

void Report::failure(const std::string& check, const Error& error) {
  Outcome outcome = Outcome::undecided;
  if (error.code == Errc::invalid) outcome = Outcome::invalid;
  if (error.code == Errc::malformed) outcome = Outcome::malformed;
  finding(outcome, check, error.detail);
}

void Report::fact(const std::string& name, const std::string& value) {
  if (json_) {
    facts_.emplace_back(name, value);
  } else {
    std::printf("%-9s %s\n", printable(name).c_str(), printable(value).c_str());
  }
}

ExitCode Report::finish() {
  bar().clear();
  const auto seen = [&](Outcome outcome) { return seen_[static_cast<size_t>(outcome)]; };
  Outcome worst = Outcome::valid;
  for (const Outcome outcome : {Outcome::undecided, Outcome::malformed, Outcome::invalid}) {
    if (seen(outcome)) worst = outcome;
  }
  if (json_) {
    Json out;
    out["outcome"] = to_string(worst);
    out["findings"] = Json::array();
    for (const Line& line : findings_)
      out["findings"].push_back(
          {{"outcome", to_string(line.outcome)}, {"check", line.check}, {"detail", line.detail}});
    for (const auto& [name, value] : facts_)
      out["facts"][name] = value;
    cli::print_json(out, true);
  }
  return exit_code(worst);
}

void show_progress(const std::string& what, uint64_t done, uint64_t total) {
  bar().show(what, done, total);
}

Result<File> open_file(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  struct stat info {};
  if (file == nullptr || ::fstat(fileno(file.get()), &info) != 0)
    return Error{Errc::undecided, "cannot open " + path + ": " + std::strerror(errno)};
  if (S_ISDIR(info.st_mode)) return Error{Errc::undecided, path + " is a folder"};
  return file;
}

Result<Bytes> load(const std::string& path, uint64_t bytes_max) {
  auto bytes = read_file(path, bytes_max);
  if (bytes) return bytes;
  const bool too_long = bytes.error().code == Errc::invalid;
  return Error{too_long ? Errc::malformed : Errc::undecided, bytes.error().detail};
}

}  // namespace gemmine::verifier
