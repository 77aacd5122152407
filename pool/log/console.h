// How events look to a person: one greppable line each on stderr, a progress bar on a terminal.
#pragma once

#include <chrono>
#include <string>

#include "pool/log/events.h"

namespace gemmine::miner {

class Console final : public Events {
 public:
  explicit Console(bool verbose);
  ~Console() override;
  void event(Level level, const std::string& name, const Fields& fields) override;
  // On a terminal a bar in place; elsewhere a line every ten seconds and at the end.
  void progress(const std::string& what, uint64_t done, uint64_t total) override;

 private:
  void clear_bar();
  const bool terminal_;
  const bool colour_;
  const bool verbose_;
  bool bar_shown_ = false;
  std::chrono::steady_clock::time_point last_progress_;
};

int default_threads();

}  // namespace gemmine::miner
