#include "pool/log/console.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <unistd.h>

namespace gemmine::miner {

namespace {

const char* word(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warn";
    case Level::error:
      return "error";
  }
  return "?";
}

const char* colour(Level level) {
  switch (level) {
    case Level::debug:
      return "\033[2m";
    case Level::info:
      return "\033[32m";
    case Level::warning:
      return "\033[33m";
    case Level::error:
      return "\033[31m";
  }
  return "";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string quoted(const std::string& value) {
  if (!value.empty() && value.find_first_of(" \"=") == std::string::npos) return value;
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

Console::Console(bool verbose)
    : terminal_(isatty(STDERR_FILENO) != 0),
      colour_(terminal_ && std::getenv("NO_COLOR") == nullptr),
      verbose_(verbose) {}

Console::~Console() {
  clear_bar();
}

void Console::event(Level level, const std::string& name, const Fields& fields) {
  if (level == Level::debug && !verbose_) return;
  clear_bar();
  std::string line = utc_now() + " ";
  if (colour_) line += colour(level);
  line += word(level);
  if (colour_) line += "\033[0m";
  line += " " + name;
  for (const auto& [key, value] : fields)
    line += " " + key + "=" + quoted(value);
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Console::progress(const std::string& what, uint64_t done, uint64_t total) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = total != 0 && done >= total;
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10);
  if (!last && now - last_progress_ < pause) return;
  last_progress_ = now;
  const int percent = total == 0 ? 0 : static_cast<int>(done * 100 / total);
  if (!terminal_) {
    std::fprintf(stderr, "%s info progress what=%s percent=%d\n", utc_now().c_str(),
                 quoted(what).c_str(), percent);
    return;
  }
  constexpr int kWidth = 30;
  const int filled = percent * kWidth / 100;
  std::fprintf(stderr, "\r\033[K%s [%s%s] %d %%", what.c_str(), std::string(filled, '#').c_str(),
               std::string(kWidth - filled, '.').c_str(), percent);
  std::fflush(stderr);
  bar_shown_ = true;
  if (last) clear_bar();
}

void Console::clear_bar() {
  if (!bar_shown_) return;
  std::fprintf(stderr, "\r\033[K");
  bar_shown_ = false;
}

int default_threads() {
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : static_cast<int>(cores);
}

}  // namespace gemmine::miner
