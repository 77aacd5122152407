#include "verifier/cli/report.h"

#include <cstdio>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "kernels/base/files.h"

namespace gemmine::verifier {

void Report::finding(Outcome outcome, const std::string& check, const std::string& detail) {
  seen_[static_cast<size_t>(outcome)] = true;
  if (json_) {
    findings_.push_back({outcome, check, detail});
    return;
  }
  std::printf("%-9s %s%s%s\n", std::string(to_string(outcome)).c_str(), check.c_str(),
              detail.empty() ? "" : ": ", detail.c_str());
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
    std::printf("%-9s %s\n", name.c_str(), value.c_str());
  }
}

int Report::finish() {
  const auto seen = [&](Outcome outcome) { return seen_[static_cast<size_t>(outcome)]; };
  Outcome worst = Outcome::valid;
  for (const Outcome outcome : {Outcome::undecided, Outcome::malformed, Outcome::invalid}) {
    if (seen(outcome)) worst = outcome;
  }
  if (json_) {
    nlohmann::ordered_json out;
    out["outcome"] = to_string(worst);
    out["findings"] = nlohmann::json::array();
    for (const Line& line : findings_)
      out["findings"].push_back(
          {{"outcome", to_string(line.outcome)}, {"check", line.check}, {"detail", line.detail}});
    for (const auto& [name, value] : facts_)
      out["facts"][name] = value;
    // File names may hold any bytes.
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", out.dump(2, ' ', false, replace).c_str());
  }
  switch (worst) {
    case Outcome::valid:
      return kExitValid;
    case Outcome::invalid:
      return kExitInvalid;
    case Outcome::malformed:
      return kExitMalformed;
    case Outcome::undecided:
      return kExitUndecided;
  }
  return kExitUndecided;
}

void show_progress(const std::string& what, uint64_t done, uint64_t total) {
  constexpr int kWidth = 40;
  if (isatty(STDERR_FILENO) == 0 || total == 0) return;
  const int filled = static_cast<int>(kWidth * done / total);
  std::fprintf(stderr, "\r%s [%s%s] %llu/%llu%s", what.c_str(), std::string(filled, '#').c_str(),
               std::string(kWidth - filled, '.').c_str(), static_cast<unsigned long long>(done),
               static_cast<unsigned long long>(total), done == total ? "\n" : "");
}

Result<Bytes> load(const std::string& path, uint64_t bytes_max) {
  auto bytes = read_file(path, bytes_max);
  if (bytes) return bytes;
  const bool too_long = bytes.error().code == Errc::invalid;
  return Error{too_long ? Errc::malformed : Errc::undecided, bytes.error().detail};
}

}  // namespace gemmine::verifier
