// How events look to a person: `TIME LEVEL event key=value`, one line each on stderr, in colour on
// a terminal unless NO_COLOR is set; and one progress bar. All programs that log use this.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "kernels/base/progress_bar.h"
#include "pool/log/events.h"

namespace gemmine::pool {

class Console final : public Events {
 public:
  explicit Console(Level least = Level::info);  // quieter events are not shown
  ~Console() override;

  void write(const Event& event) override;
  // On a terminal a bar in place; elsewhere an event every ten seconds and at the end.
  void progress(const std::string& what, uint64_t done, uint64_t total) override;
  // Before a result goes to stdout: the bar must not share its line.
  void clear_bar() { bar_.clear(); }

 private:
  struct Logger;  // spdlog's, which only console.cc knows
  const std::unique_ptr<Logger> logger_;
  ProgressBar bar_;
  std::chrono::steady_clock::time_point last_progress_;
};

}  // namespace gemmine::pool
