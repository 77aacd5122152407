// What gemmine-verify says: a line per finding or one JSON object, and the exit code.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/base/result.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

inline constexpr int kExitValid = 0;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInvalid = 10;
inline constexpr int kExitMalformed = 11;
inline constexpr int kExitUndecided = 12;

class Report {
 public:
  explicit Report(bool json) : json_(json) {}

  void finding(Outcome outcome, const std::string& check, const std::string& detail = "");
  // A failure of a library call: malformed and invalid are findings, the rest is undecided.
  void failure(const std::string& check, const Error& error);
  void fact(const std::string& name, const std::string& value);
  // Prints what is left and gives the exit code: invalid before malformed before undecided.
  int finish();

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

// The whole file. Errors: undecided (missing or unreadable), malformed (too long), naming the path.
Result<Bytes> load(const std::string& path, uint64_t bytes_max);

}  // namespace gemmine::verifier
