#include "pool/cli/console.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <unistd.h>

namespace gemmine::pool {
namespace {

enum class Level { info, warn, error };

struct LevelOf {
  std::string_view name;
  Level level;
};
constexpr LevelOf kLouder[] = {
    {"banned", Level::warn},          {"rollback", Level::warn},
    {"rollback_waits", Level::warn},  {"audit_undecided", Level::warn},
    {"lease_refused", Level::warn},   {"status_file", Level::warn},
    {"close_refused", Level::error},  {"ban_refused", Level::error},
    {"merge_failed", Level::error},   {"merge_refused", Level::error},
    {"finish_refused", Level::error}, {"ledger_not_writable", Level::error},
};

Level level_of(std::string_view name) {
  for (const LevelOf& each : kLouder) {
    if (each.name == name) return each.level;
  }
  return Level::info;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

void append_value(std::string& line, const std::string& value) {
  if (!value.empty() && value.find_first_of(" \"=\\\n") == std::string::npos) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    line += c == '\n' ? ' ' : c;
  }
  line += '"';
}

}  // namespace

void print_note(const Note& note) {
  static const bool colour = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  constexpr const char* kWords[] = {"info", "warn", "error"};
  constexpr const char* kColours[] = {"\033[32m", "\033[33m", "\033[31m"};
  const auto level = static_cast<size_t>(level_of(note.name));
  std::string line = utc_now();
  line += ' ';
  if (colour) line += kColours[level];
  line += kWords[level];
  if (colour) line += "\033[0m";
  line += ' ';
  line += note.name;
  for (const auto& [key, value] : note.fields) {
    line += ' ';
    line += key;
    line += '=';
    append_value(line, value);
  }
  line += '\n';
  std::fputs(line.c_str(), stderr);
}

int fail(int code, const std::string& text) {
  // A message about a file carries its own "error:".
  const bool placed = text.find(": error: ") != std::string::npos;
  std::fprintf(stderr, "%s%s\n", placed ? "" : "error: ", text.c_str());
  return code;
}

}  // namespace gemmine::pool
