// What gemmine-verify says: a line per finding or one JSON object, and the exit code.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/exit_code.h"
#include "kernels/base/result.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  void finding(Outcome outcome, const std::string& check, const std::string& detail = "");
  // A failure of a library call: malformed and invalid are findings, the rest is undecided.
  void failure(const std::string& check, const Error& error);
  void fact(const std::string& name, const std::string& value);
  // Prints what is left and gives the exit code: invalid before malformed before undecided.
  ExitCode finish();

 private:
  struct Line {
    Outcome outcome;
    std::string check;
    std::string detail;
  };
  bool json_;
  std::vector<Line> findings_;
  std::vector<std::pair<std::string, std::string>> facts_;
  bool seen_[4] = {};
};

// A bar on a terminal's stderr; nothing elsewhere.
void show_progress(const std::string& what, uint64_t done, uint64_t total);

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// To read from its beginning; a pipe will do. Errors: undecided (missing, unreadable, a folder).
Result<File> open_file(const std::string& path);

// The whole file. Errors: undecided (missing or unreadable), malformed (too long), naming the path.
Result<Bytes> load(const std::string& path, uint64_t bytes_max);

}  // namespace gemmine::verifier
