// A bar that shows how far long work has come: in place on a terminal's stderr, nothing elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace gemmine {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  bool on_terminal() const { return terminal_; }

  // Draws at most ten times a second, and takes the bar away when done reaches total. Total 0
  // means that nobody knows it yet.
  void show(const std::string& what, uint64_t done, uint64_t total);

  // Takes the bar away. Call it before anything else is written to the terminal, stdout included,
  // so that a bar never shares a line with a result.
  void clear();

 private:
  const bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

// As much of a bar as stays on one line of so many columns. The text is ASCII.
std::string fit_bar(const std::string& text, size_t columns);

// "training [######......] 20 %"; without a total "training 1234".
std::string bar_text(const std::string& what, uint64_t done, uint64_t total);

}  // namespace gemmine
