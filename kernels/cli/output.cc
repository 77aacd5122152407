#include "kernels/cli/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdio_ext.h>

#include "kernels/base/json.h"
#include "kernels/base/printable.h"

namespace gemmine::cli {

namespace {

std::string& speaker() {
  static std::string name;
  return name;
}

}  // namespace

void set_speaker(const std::string& name) {
  speaker() = name;
}

ExitCode fail(ExitCode code, const std::string& text) {
  const bool placed = text.find(": error: ") != std::string::npos;
  const std::string line = (placed ? "" : speaker() + ": ") + printable_lines(text) + "\n";
  std::fputs(line.c_str(), stderr);
  return code;
}

ExitCode code_of_engine(const Error& error) {
  switch (error.code) {
    case Errc::invalid:
      return ExitCode::wrong_numbers;
    case Errc::invalid_argument:
      return ExitCode::command_line;
    case Errc::unsupported:
      return ExitCode::no_device;
    default:
      return ExitCode::failed;
  }
}

void print_json(const Json& value, bool indented) {
  const std::string text = value.dump(indented ? 2 : -1);
  std::fputs((text + "\n").c_str(), stdout);
}

Status finish_output() {
  const bool lost = std::ferror(stdout) != 0;
  const bool waiting = __fpending(stdout) > 0;
  errno = 0;
  const bool closed = std::fclose(stdout) == 0;
  // A stdout that was never there and that nobody printed to is no loss.
  if (!lost && (closed || (errno == EBADF && !waiting))) return Ok{};
  const std::string why = errno == 0 ? "" : std::string(": ") + std::strerror(errno);
  return Error{Errc::io, "cannot write to standard output" + why};
}

}  // namespace gemmine::cli
