#include "kernels/base/progress_bar.h"

#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace gemmine {

std::string bar_text(const std::string& what, uint64_t done, uint64_t total) {
  if (total == 0) return what + " " + std::to_string(done);
  constexpr size_t kWidth = 30;
  const double part = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const auto filled = static_cast<size_t>(part * kWidth);
  return what + " [" + std::string(filled, '#') + std::string(kWidth - filled, '.') + "] " +
         std::to_string(static_cast<int>(part * 100)) + " %";
}

namespace {

// Columns of the terminal at stderr: a bar that wraps cannot be taken away again.
size_t columns() {
  constexpr size_t kUsual = 80;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsual;
}

}  // namespace

std::string fit_bar(const std::string& text, size_t columns) {
  // Terminals wrap behind the last column, some before anything more is written.
  return columns == 0 ? std::string() : text.substr(0, columns - 1);
}

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::show(const std::string& what, uint64_t done, uint64_t total) {
  if (!terminal_) return;
  if (total != 0 && done >= total) return clear();
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  shown_ = true;
  std::fputs(("\r\033[K" + fit_bar(bar_text(what, done, total), columns())).c_str(), stderr);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace gemmine
