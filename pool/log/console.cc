#include "pool/log/console.h"

#include <cstdlib>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include "pool/log/line.h"

namespace gemmine::pool {

namespace {

using Sink = spdlog::sinks::ansicolor_stderr_sink_mt;

spdlog::level::level_enum level_of(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// https://no-color.org: set and not empty.
bool colours_refused() {
  const char* const refused = std::getenv("NO_COLOR");
  return refused != nullptr && refused[0] != '\0';
}

}  // namespace

// Synchronous: a line is written when write() returns, also when the next thing is a crash.
struct Console::Logger {
  explicit Logger(Level least)
      : out("gemmine", std::make_shared<Sink>(colours_refused() ? spdlog::color_mode::never
                                                                : spdlog::color_mode::automatic)) {
    out.set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%SZ %^%l%$ %v",
                                                                  spdlog::pattern_time_type::utc));
    out.set_level(level_of(least));
  }

  spdlog::logger out;
};

Console::Console(Level least) : logger_(std::make_unique<Logger>(least)) {}

Console::~Console() = default;

void Console::write(const Event& event) {
  if (!logger_->out.should_log(level_of(event.level))) return;
  bar_.clear();
  logger_->out.log(level_of(event.level), log_line(event));
}

void Console::progress(const std::string& what, uint64_t done, uint64_t total) {
  if (bar_.on_terminal()) return bar_.show(what, done, total);
  const auto now = std::chrono::steady_clock::now();
  const bool last = total != 0 && done >= total;
  if (!last && now - last_progress_ < std::chrono::seconds(10)) return;
  last_progress_ = now;
  const uint64_t percent = total == 0 ? 0 : done * 100 / total;
  event(Level::info, "progress", {{"what", what}, {"percent", std::to_string(percent)}});
}

}  // namespace gemmine::pool
