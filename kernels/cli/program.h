// What every program of ours does around its commands: a sound process to start with, a command
// line whose mistakes are named, and an exit code that does not hide lost output.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/exit_code.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace gemmine::cli {

// First thing in main(), before a file or socket takes one of the numbers: missing descriptors 0-2
// become /dev/null (writing to a missing stdout fails, as it would have), and SIGPIPE and SIGXFSZ
// become errors of the call that met them. Ends the process where even /dev/null cannot be had.
void prepare_process();

// The signals that end a program in good order: SIGINT, SIGTERM, and SIGHUP unless whoever started
// us has it ignored (nohup). Call prepare_process() first.
std::vector<int> stop_signals();

class Program {
 public:
  // `about` opens the help; `codes` are those that the program can end with.
  Program(const std::string& name, const std::string& about, std::initializer_list<ExitCode> codes);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Adds a command; `run` is called when it is the one that was typed.
  CLI::App& command(const std::string& name, const std::string& help,
                    std::function<ExitCode()> run);
  // Adds a word that has commands of its own, as in `job check`.
  CLI::App& group(const std::string& name, const std::string& help);
  CLI::App& command_of(CLI::App& group, const std::string& name, const std::string& help,
                       std::function<ExitCode()> run);

  // Parses, runs the command and returns what main() returns: never ok when something that was
  // printed could not be written.
  int main(int argc, const char* const* argv);

 private:
  ExitCode parse_and_run(int argc, const char* const* argv);
  ExitCode refuse(const CLI::ParseError& error) const;

  const std::string name_;
  std::unique_ptr<CLI::App> app_;
  std::vector<std::pair<CLI::App*, std::function<ExitCode()>>> commands_;
};

// "  0  clean end" and so on, a line for each.
std::string exit_codes_text(std::initializer_list<ExitCode> codes);

}  // namespace gemmine::cli
